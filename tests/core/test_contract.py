"""What every model in the registry promises."""

import dataclasses

import numpy as np
import pytest
import torch

from dln.core.data import open_source
from dln.core.errors import UsageError
from dln.core.models.engine import TorchEngine
from dln.core.models.package import load_model, rebuild, save_model
from dln.core.models.registry import MODELS, load
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.options import TrainOptions
from dln.core.training.stage import Stage

SOURCE = open_source("menagerie", count=6)
NAMES = sorted(MODELS)


def build(name: str):
    torch.manual_seed(0)
    module = load(MODELS[name])
    config = module.PRESETS[MODELS[name].default_preset]
    if hasattr(module, "fitted"):
        config = dataclasses.replace(config, **module.fitted(config, SOURCE))
    return module, module.Model(config, Vocabulary(SOURCE.words()))


@pytest.mark.parametrize("name", NAMES)
def test_registry_and_module_agree(name):
    spec = MODELS[name]
    module = load(spec)
    assert set(spec.presets) == set(module.PRESETS)
    assert spec.default_preset in spec.presets


@pytest.mark.parametrize("name", NAMES)
def test_config_survives_json_and_refuses_nonsense(name):
    module = load(MODELS[name])
    for preset in module.PRESETS.values():
        assert rebuild(module.Config, dataclasses.asdict(preset)) == preset
    sizes = [f.name for f in dataclasses.fields(module.Config) if f.name in ("width", "image_size")]
    for field in sizes:
        with pytest.raises(UsageError, match=field):
            dataclasses.replace(module.PRESETS[MODELS[name].default_preset], **{field: -1})


@pytest.mark.parametrize("name", NAMES)
def test_steps_on_one_batch_lower_each_stage_s_loss(name, tmp_path):
    module, model = build(name)
    options = TrainOptions(data="menagerie", batch=2, steps=3, seed=0, precision="fp32")
    for stage in module.stages(model, SOURCE, options):
        stage.prepare(tmp_path, lambda event: None)
        losses = descend(stage)
        assert losses[-1] < losses[0], stage.name


def descend(stage: Stage, steps: int = 4) -> list[float]:
    (player,) = stage.players
    stage.modules.train()
    for parameter in player.objective.parameters():
        parameter.requires_grad_(any(parameter is p for p in player.parameters))
    batch = stage.collate(np.array([0, 1]), 0)
    optimizer = torch.optim.Adam(player.parameters, lr=3e-5)
    losses = []
    for _ in range(steps):
        torch.manual_seed(0)  # the same noise at each step, where a loss draws any
        loss = player.objective(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_words_survive_a_file(name, tmp_path):
    _, model = build(name)
    path = tmp_path / "model.safetensors"
    save_model(path, model, {"model": name})
    loaded = load_model(path)
    assert getattr(loaded.model.reader, "words", None) == getattr(model.reader, "words", None)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[key])


@pytest.mark.parametrize("name", NAMES)
def test_every_graph_runs_at_the_ends_of_its_sizes(name):
    _, model = build(name)
    graphs = model.graphs()
    engine = TorchEngine(graphs)
    for graph in graphs.values():
        for end in ("smallest", "typical"):
            sizes = {size: getattr(limits, end) for size, limits in graph.sizes.items()}
            inputs = graph.inputs(**sizes)
            outputs = engine.run(graph.name, **inputs)
            assert set(outputs) == set(graph.outputs)
            assert all(torch.isfinite(t).all() for t in outputs.values() if t.is_floating_point())
