"""From options to a run, with a small model of two stages in the registry's place."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parent))
from toy_training import Toy

from dln.core.carbon.emissions import Emissions
from dln.core.carbon.recorder import Place
from dln.core.carbon.regions import find
from dln.core.carbon.sources import open_source
from dln.core.errors import Interrupted, MissingCapability, UsageError
from dln.core.models.about import About
from dln.core.models.system import System, SystemModel
from dln.core.runs.build import override, resolve_config
from dln.core.runs.start import extended
from dln.core.runs.train import train
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.accelerator import create_accelerator
from dln.core.training.events import Event, Finished, Note, Started, silent
from dln.core.training.options import TrainOptions
from dln.core.training.run import Run


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (2, 3)


@dataclass(frozen=True)
class Config:
    width: int = 16
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is at least 1, not {self.width}")


class Model(SystemModel):
    def __init__(self, config: Config, reader: Any) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.first, self.second = Toy().modules, Toy().modules


class Part(Toy):
    """A stage that trains one of the model's parts; `second` starts from `first`'s result."""

    def __init__(self, name: str, model: Model, events: list[str]) -> None:
        super().__init__(steps=6)
        self.batch = {"first": 6, "second": 8}[name]
        self.name, self.whole, self.events = name, model, events
        getattr(model, name).load_state_dict(self.modules.state_dict())
        setattr(model, name, self.modules)

    def prepare(self, cache: Path, on_event: Any) -> None:
        self.events.append(f"prepare {self.name}")
        if self.name == "second":
            self.modules.load_state_dict(self.whole.first.state_dict())

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if f"stop {self.name} {step}" in self.events:
            os.kill(os.getpid(), signal.SIGINT)

    def finish(self) -> None:
        self.events.append(f"finish {self.name}")


class World:
    """What stands in for the registry, the data and the package."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fingerprint = "abc"
        self.cards: list[dict[str, Any]] = []

    def stages(self, model: Model, source: Any, options: TrainOptions) -> list[Part]:
        assert options.seed is not None
        return [Part(name, model, self.events) for name in ("first", "second")]

    def save_model(self, path: Path, model: Model, card: dict[str, Any]) -> None:
        self.cards.append(json.loads(json.dumps(card)))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)

    def system(self) -> System:
        return Whole(self)


class Whole(System):
    """The toy as a system."""

    about = About("toy", "A toy", "regression", ("tiny", "small"))
    Config, PRESETS, Model = Config, {"tiny": Config(), "small": Config(width=32)}, Model

    def __init__(self, world: World) -> None:
        self.world = world

    def stages(self, model: Any, source: Any, options: TrainOptions) -> list[Any]:
        return self.world.stages(model, source, options)


DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    source = SimpleNamespace(words=lambda: ["lion"], fingerprint=lambda: world.fingerprint,
                             report=None)  # fmt: skip
    system = world.system()
    for place in ("dln.core.runs.train", "dln.core.runs.build"):
        monkeypatch.setattr(f"{place}.load", lambda about: system)
    monkeypatch.setattr("dln.core.runs.train.find", lambda name: system.about)
    monkeypatch.setattr("dln.core.models.package.save_model", world.save_model)
    monkeypatch.setattr("dln.core.data.open_source", lambda spec, seed: source)
    return world


@pytest.fixture
def go(world: World, tmp_path: Path) -> Callable[..., Path]:
    """Train with some options in tmp_path/run unless told otherwise."""

    def go(on_event: Any = silent, place: Place | None = None, **options: Any) -> Path:
        options = {"out": tmp_path / "run", "device": "cpu", "precision": "fp32"} | options
        return train("toy", TrainOptions(**options), on_event, place=place)

    return go


def kept(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    return all(torch.equal(kept(second)[name], value) for name, value in kept(first).items())


def test_all_stages_in_order(world: World, go: Callable[..., Path]):
    events: list[Event] = []
    path = go(events.append, config={"width": 20, "inner": {"sizes": [5]}}, lr=0.02)
    assert world.events == ["prepare first", "finish first", "prepare second", "finish second"]
    assert [e.stage for e in events if isinstance(e, Started)] == ["first", "second"]
    assert [e.stage for e in events if isinstance(e, Finished)] == ["first", "second"]
    assert events[0] == Note("device cpu, precision fp32, seed 0")
    card = world.cards[0]
    assert card["model"] == "toy"
    assert card["steps"] == {"first": 6, "second": 6}
    assert card["metrics"]["first"]["mse"] > 0
    assert card["recipe"]["lr"] == 0.02
    assert card["recipe"]["config"] == {"width": 20, "inner": {"sizes": [5]}}
    assert card["data"] == {"name": "menagerie", "fingerprint": "abc"}
    assert "out" not in card["recipe"]
    config = Run.open(path).config
    assert config["config"] == {"width": 20, "inner": {"sizes": [5]}}
    assert config["options"]["preset"] == "tiny"


def test_stages_one_by_one_end_like_all(world: World, go: Callable[..., Path], tmp_path: Path):
    whole = go()
    parts = tmp_path / "parts"
    notes: list[Event] = []
    go(notes.append, out=parts, stage="first")
    assert not (parts / "model.safetensors").exists()
    assert Note(f"next: dln train toy --resume --out {parts} --stage second") in notes
    go(out=parts, stage="second", resume=True)
    assert same(whole, parts)


def test_a_finished_stage_asked_for_again_leaves_the_others(go: Callable[..., Path]):
    path = go()
    before = kept(path)
    for stage in ("first", "second"):
        (path / "model.safetensors").unlink()
        go(stage=stage, resume=True)
        after = kept(path)
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_interrupted_and_resumed_ends_like_all(
    world: World, go: Callable[..., Path], tmp_path: Path
):
    whole, path = go(seed=3, steps={"first": 5}), tmp_path / "stopped"
    for name in ("first", "second"):
        world.events.append(f"stop {name} 2")
        options = {"resume": True} if path.exists() else {"seed": 3, "steps": {"first": 5}}
        with pytest.raises(Interrupted):
            go(out=path, **options)
        world.events.remove(f"stop {name} 2")
    events: list[Event] = []
    go(events.append, out=path, resume=True)
    assert Note("stage 'first' is finished (5 steps)") in events
    assert Started("second", 2, 6, 40, 102) in events
    assert same(whole, path)
    assert world.cards[0]["steps"] == world.cards[1]["steps"] == {"first": 5, "second": 6}
    assert world.cards[1]["seed"] == 3


def test_every_session_is_metered(world: World, go: Callable[..., Path], tmp_path: Path):
    path = tmp_path / "metered"
    world.events.append("stop first 2")
    with pytest.raises(Interrupted):
        go(out=path)
    world.events.remove("stop first 2")
    first = Emissions.load(path)
    assert (first.what, first.region, first.kg) == ("dln train toy", None, None)
    assert first.running_seconds > 0
    place = Place(find("norway"), open_source("annual", find("norway")), 1.3)
    go(out=path, resume=True, place=place)
    whole = Emissions.load(path)
    assert whole.intervals[: len(first.intervals)] == first.intervals
    assert whole.submitted == first.submitted
    assert whole.kg == pytest.approx(whole.kwh * place.source.series(*DAY).g_per_kwh[0] / 1000)
    before = (path / "emissions.json").read_bytes()
    with pytest.raises(UsageError, match="exists"):
        go(out=path)
    assert (path / "emissions.json").read_bytes() == before


def test_a_stage_needs_the_earlier_ones(go: Callable[..., Path]):
    with pytest.raises(UsageError, match="stage 'second' needs 'first'") as caught:
        go(stage="second")
    assert "--stage first" in (caught.value.hint or "")


def test_a_stage_that_needs_no_other_may_go_first(
    go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Part, "needs", ())
    state = go(stage="second") / "state"
    assert (state / "second" / "final.safetensors").exists()
    assert not (state / "first").exists()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Weights to start from: all ones, of a width that no preset has."""
    model = Model(Config(width=20), SimpleNamespace(words=["lion", "eats"]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    found = SimpleNamespace(model=model, sha256="1" * 64)
    monkeypatch.setattr("dln.core.runs.train.open_start", lambda name, model: found)
    return found


def test_training_begins_from_weights_there_are(
    world: World, go: Callable[..., Path], start: SimpleNamespace
):
    path = go(start_from="old", stage="second", lr=1e-9)
    assert (path / "model.safetensors").exists(), "the other stages are what they were"
    assert world.cards[0]["start"] == {"sha256": "1" * 64}
    assert world.cards[0]["recipe"]["start_from"] == "old"
    assert Run.open(path).config["config"]["width"] == 20
    assert "preset" not in Run.open(path).config["options"]
    start.sha256 = "2" * 64
    with pytest.raises(UsageError, match=r"what it starts from .* changed"):
        go(resume=True)


def test_weights_bring_their_own_size(go: Callable[..., Path], start: SimpleNamespace):
    with pytest.raises(UsageError, match="leave out --preset"):
        go(start_from="old", preset="tiny")
    with pytest.raises(UsageError, match="have another width"):
        go(start_from="old", config={"width": 8})


def test_words_that_the_weights_know_keep_their_rows():
    from dln.core.models.cogvideo.system import SYSTEM

    small = override(SYSTEM.PRESETS["tiny"], {"width": 8, "layers": 1})
    old: Any = SYSTEM.Model(small, Vocabulary(["lion", "eats"]))
    torch.manual_seed(0)
    fresh: Any = SYSTEM.Model(small, Vocabulary(["lion", "eats", "cat"]))
    torch.manual_seed(0)
    source: Any = SimpleNamespace(words=lambda: ["cat", "lion"])
    new: Any = extended(SYSTEM, old, {}, source)
    assert new.reader.words == ["lion", "eats", "cat"]
    assert torch.equal(new.image.tokens.weight[:-1], old.image.tokens.weight)
    assert torch.equal(new.image.tokens.weight[-1], fresh.image.tokens.weight[-1])
    assert torch.equal(new.tokenizer.codebook.codes, old.tokenizer.codebook.codes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "frist"}, "no stage 'frist'. Did you mean 'first'"),
        ({"steps": {"secnd": 3}}, "no stage 'secnd'. Did you mean 'second'"),
        ({"preset": "tinny"}, "no preset 'tinny'. Did you mean 'tiny'"),
        ({"config": {"widht": 3}}, "no field 'widht'. Did you mean 'width'"),
        ({"config": {"width": 0}}, "width is at least 1"),
        ({"device": "gpu"}, "device is auto, cpu, cuda or cuda:n"),
        ({"batch": 7, "accumulate": 2}, "batch 7 .* 1 processes x 2 micro-batches"),
        ({"resume": True}, "is not a run"),
    ],
)
def test_what_cannot_be_is_said(go: Callable[..., Path], options: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        go(**options)


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"steps": -1}, {"lr": 0}, {"steps": {"a": 0}}, {"lr": {"a": 0}}]
)
def test_numbers_are_above_zero(options: dict[str, Any]):
    with pytest.raises(UsageError, match=f"--{next(iter(options))} must be above 0"):
        TrainOptions(**options)


def test_wrong_options_leave_no_folder(go: Callable[..., Path], tmp_path: Path):
    with pytest.raises(UsageError):
        go(preset="huge")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_needs_resume_or_force(world: World, go: Callable[..., Path]):
    go(steps=2)
    with pytest.raises(UsageError, match="run exists"):
        go()
    go(steps=3, force=True)
    assert world.cards[-1]["steps"] == {"first": 3, "second": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "small"}, "started with --preset tiny, not small"),
        ({"data": "elsewhere"}, "started with --data menagerie, not elsewhere"),
        ({"config": {"width": 3}}, "started with configuration"),
    ],
)
def test_a_resumed_run_keeps_model_and_data(
    go: Callable[..., Path], options: dict[str, Any], message: str
):
    go(stage="first")
    with pytest.raises(UsageError, match=message):
        go(resume=True, **options)


def test_data_that_changed(world: World, go: Callable[..., Path]):
    go(stage="first")
    world.fingerprint = "def"
    with pytest.raises(UsageError, match=r"the data of .* changed"):
        go(resume=True)


def test_each_player_has_its_own_learning_rate(go: Callable[..., Path], tmp_path: Path):
    """The log tells the first player's; a run that goes on keeps them."""
    path = go(stage="first", steps=2, lr={"critic": 0.5})
    assert Run.open(path).config["options"]["lr"] == {"critic": 0.5}
    go(resume=True)
    info = [
        json.loads((path / "state" / s / "final.json").read_text()) for s in ("first", "second")
    ]
    rates = [one["settings"]["learning_rates"] for one in info]
    assert rates == [{"model": 1e-2, "critic": 0.5}] * 2
    both = go(out=tmp_path / "both", steps=2, lr=0.5) / "state" / "first" / "final.json"
    settings = json.loads(both.read_text())["settings"]
    assert settings["learning_rates"] == {"model": 0.5, "critic": 0.5}


def test_what_is_given_for_one_leaves_the_others(go: Callable[..., Path]):
    path = go(stage="first", steps=2, lr=0.5)
    go(resume=True, steps={"second": 3}, lr={"critic": 0.25})
    options = Run.open(path).config["options"]
    assert options["steps"] == {"": 2, "second": 3}
    assert options["lr"] == {"": 0.5, "critic": 0.25}
    info = json.loads((path / "state" / "second" / "final.json").read_text())
    assert info["steps"] == 3
    assert info["settings"]["learning_rates"] == {"model": 0.5, "critic": 0.25}


def test_a_run_in_training_is_left_alone(go: Callable[..., Path]):
    path = go(stage="first", steps=2)
    before = (path / "config.toml").read_bytes()
    with Run.open(path).locked(), pytest.raises(UsageError, match="by another process"):
        go(resume=True, lr=5.0)
    assert (path / "config.toml").read_bytes() == before


def test_what_does_not_divide_is_said_before_the_first_stage(world: World, go: Callable[..., Path]):
    with pytest.raises(UsageError, match="of stage 'second' does not divide"):
        go(accumulate=3)
    assert world.events == []


def test_an_unknown_player(go: Callable[..., Path]):
    with pytest.raises(UsageError, match=r"no player 'critics'\. Did you mean 'critic'") as caught:
        go(lr={"critics": 0.1})
    assert caught.value.hint == "its players are model, critic"


def test_flags_win_when_resuming(world: World, go: Callable[..., Path]):
    path = go(stage="first", steps=2, lr=0.01)
    go(resume=True, stage="first", lr=0.02)
    assert Run.open(path).config["options"]["lr"] == 0.02
    go(resume=True)
    assert world.cards[0]["recipe"]["lr"] == 0.02
    assert world.cards[0]["steps"] == {"first": 2, "second": 2}


def test_overrides_keep_the_kind():
    config = override(Config(), {"inner": {"sizes": [1]}})
    assert config == Config(inner=Inner((1,)))
    assert resolve_config(World().system(), "tiny", {}) == Config()


def test_a_missing_gpu():
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(MissingCapability, match="no CUDA device") as caught:
        create_accelerator("cuda:1")
    assert caught.value.exit_code == 3


def test_ctrl_c_while_preparing(go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Part, "prepare", stop)
    with pytest.raises(Interrupted) as caught:
        go()
    assert "--resume" in (caught.value.hint or "")


def test_global_generators_do_not_matter(go: Callable[..., Path], tmp_path: Path):
    torch.manual_seed(5)
    first = go()
    torch.manual_seed(6)
    np.random.seed(1)
    assert same(first, go(out=tmp_path / "again"))
