"""What every system promises: those that ship, and the small ones beside the tests."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import VARIANTS, enlivened, micro  # pyright: ignore[reportMissingImports]

from dln.core.data import open_source
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.render import render_folder
from dln.core.errors import Interrupted, UsageError
from dln.core.generation.generate import generate, stream
from dln.core.models.about import INPUTS
from dln.core.models.engine import TorchEngine
from dln.core.models.locate import read_header
from dln.core.models.package import load_model, rebuild, save_model
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.models.system import SystemModel
from dln.core.runs.build import build
from dln.core.runs.train import train
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.events import Event, Saved, silent
from dln.core.training.options import TrainOptions
from dln.core.training.player import Player, Turn
from dln.core.training.stage import Stage, learning

SOURCE = open_source("menagerie", count=6)
NAMES = sorted(MODELS)
SIZED = [*NAMES, *VARIANTS]
GENERATORS = [name for name in SIZED if MODELS[micro(name)[0]].generates]


def made(name: str, seed: int = 0) -> SystemModel:
    """A micro model whose every weight changes what comes out."""
    torch.manual_seed(seed)
    about, sizes = micro(name)
    model = build(MODELS[about], None, sizes, SOURCE)
    enlivened(model)
    return model.eval()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    render_folder(Menagerie(6), folder, size=(16, 16))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_what_is_there(name):
    about, system = MODELS[name], load(MODELS[name])
    assert system.about == dataclasses.replace(about, module="")
    assert set(about.presets) == set(system.PRESETS)
    assert about.default_preset in about.presets
    assert set(about.takes) <= set(INPUTS)
    assert about.gives in (None, "clip", "picture")
    about.settings()


@pytest.mark.parametrize("name", NAMES)
def test_config_survives_json_and_refuses_nonsense(name):
    system = load(MODELS[name])
    for preset in system.PRESETS.values():
        assert rebuild(system.Config, dataclasses.asdict(preset)) == preset
    sizes = {f.name for f in dataclasses.fields(system.Config)} & {"width", "image_size"}
    preset = system.PRESETS[MODELS[name].default_preset]
    for field in sizes:
        with pytest.raises(UsageError, match=field):
            dataclasses.replace(preset, **{field: -1})


@pytest.mark.parametrize("name", SIZED)
def test_steps_on_one_batch_lower_the_loss_of_every_turn(name, tmp_path):
    torch.manual_seed(0)
    about, sizes = micro(name)
    model = build(MODELS[about], None, sizes, SOURCE)
    options = TrainOptions(data="menagerie", batch=2, steps=3, seed=0, precision="fp32")
    for stage in load(MODELS[about]).stages(model, SOURCE, options):
        stage.prepare(tmp_path, silent)
        for player in stage.players:
            for turn in player.turns:
                losses = descend(stage, player, turn)
                assert losses[-1] < losses[0], (stage.name, player.name, turn.name)


def descend(stage: Stage, player: Player, turn: Turn, steps: int = 4) -> list[float]:
    """The turn's losses while plain Adam moves the player's parameters and no other's."""
    stage.modules.train()
    batch = stage.collate(np.array([0, 1]), 0)
    optimizer = torch.optim.Adam(player.parameters, lr=3e-5)
    losses = []
    for _ in range(steps):
        torch.manual_seed(0)  # the same noise at each step, where a loss draws any
        with learning(player, stage):
            loss = torch.stack([turn.objective(piece)["loss"] for piece in turn.cut(batch)]).sum()
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", SIZED)
def test_weights_and_words_survive_a_file(name, tmp_path):
    """The model that comes back was never drawn: each of its graphs computes the same bits."""
    model, path = made(name), tmp_path / "model.safetensors"
    about, _ = micro(name)
    save_model(path, model, {"model": about})
    again = load_model(path).model
    assert getattr(again.reader, "words", None) == getattr(model.reader, "words", None)
    assert (read_header(path).vocabulary is not None) == isinstance(model.reader, Vocabulary)
    assert MODELS[about].text == (model.reader is not None)
    state = again.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
    engines = [TorchEngine(each.graphs()) for each in (model, again)]
    for graph in model.graphs().values():
        inputs = graph.inputs()
        ours, theirs = (engine.run(graph.name, **inputs) for engine in engines)
        assert all(torch.equal(ours[output], theirs[output]) for output in ours), graph.name


@pytest.mark.parametrize("name", SIZED)
def test_every_graph_runs_at_the_ends_of_its_sizes(name):
    graphs = made(name).graphs()
    engine = TorchEngine(graphs)
    for graph in graphs.values():
        graph.axes()
        for end in ("smallest", "typical"):
            sizes = {size: getattr(limits, end) for size, limits in graph.sizes.items()}
            outputs = engine.run(graph.name, **graph.inputs(**sizes))
            assert set(outputs) == set(graph.outputs)
            assert all(torch.isfinite(t).all() for t in outputs.values() if t.is_floating_point())


def prompt_for(model: SystemModel) -> str:
    """Two words that it knows, "" for a model without text."""
    words = [word for word in model.reader.words if len(word) > 3] if model.reader else []
    return " ".join(words[:2])


@pytest.mark.parametrize("name", GENERATORS)
def test_the_seed_decides_what_is_made(name, tmp_path):
    save_model(tmp_path / "model.safetensors", made(name), {"model": micro(name)[0]})
    loaded = load_model(tmp_path / "model.safetensors")
    one, again, other = (
        generate(loaded, Request(prompt_for(loaded.model), seed=seed)).clip for seed in (1, 1, 2)
    )
    assert np.array_equal(one.frames, again.frames)
    assert not np.array_equal(one.frames, other.frames)
    if loaded.about.gives == "clip":
        asked = stream(loaded, Request(prompt_for(loaded.model), seed=1, frames=3, fps=5.0)).stream
        assert (asked.frames, asked.fps) == (3, 5.0)
        frames = asked.clip().frames
        assert frames.shape == (3, *asked.size, 3)
    else:
        assert len(one.frames) == 1


@pytest.mark.parametrize("name", GENERATORS)
def test_trained_stopped_resumed_and_sampled(name, clips, tmp_path):
    """Through the door that `dln train` takes: stopped at its first checkpoint and resumed, it
    ends with the bits of one that was left alone, and what it wrote generates."""
    about, sizes = micro(name)
    asked: dict[str, Any] = {"data": str(clips), "batch": 2, "steps": 3, "precision": "fp32",
                             "checkpoint_every": 1, "device": "cpu", "workers": 0,
                             "config": sizes}  # fmt: skip
    whole = train(about, TrainOptions(**asked, out=tmp_path / "whole"), silent)
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        train(about, TrainOptions(**asked, out=out), next(stopper()))
    resumed = train(about, TrainOptions(out=out, resume=True, device="cpu", workers=0), silent)
    first, second = (load_model(run) for run in (whole, resumed))
    state = second.model.state_dict()
    assert all(torch.equal(t, state[key]) for key, t in first.model.state_dict().items())
    clip = generate(second, Request(prompt_for(second.model), seed=1)).clip
    assert clip.frames.shape[3] == 3


def stopper() -> Iterator[Any]:
    """Ctrl-C at the first checkpoint."""

    def stop(event: Event) -> None:
        if isinstance(event, Saved):
            raise KeyboardInterrupt

    yield stop
