"""What a training is asked for, refused and resumed with."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from dln.core.errors import UsageError
from dln.core.runs import build
from dln.core.runs.build import made, override, resolve_config
from dln.core.training.options import TrainOptions
from dln.core.training.run import Run

from .toy_run import Config, Inner, World


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "frist"}, "no stage 'frist'. Did you mean 'first'"),
        ({"steps": {"secnd": 3}}, "no stage 'secnd'. Did you mean 'second'"),
        ({"preset": "tinny"}, "no preset 'tinny'. Did you mean 'tiny'"),
        ({"config": {"widht": 3}}, "no field 'widht'. Did you mean 'width'"),
        ({"config": {"width": 0}}, "width is at least 1"),
        ({"device": "gpu"}, "device is auto, cpu, mps, cuda or cuda:n"),
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


@pytest.mark.parametrize(
    "options",
    [{"steps": 10**13}, {"steps": {"a": 10**13}}, {"batch": 10**7}, {"lr": math.inf},
     {"lr": math.nan}, {"lr": {"a": 1e300}}, {"seed": 2**63}, {"seed": -1}, {"workers": 10**5}],
)  # fmt: skip
def test_numbers_that_no_training_has(options: dict[str, Any]):
    with pytest.raises(UsageError, match=f"--{next(iter(options))} "):
        TrainOptions(**options)


@pytest.mark.parametrize(
    "options",
    [{"steps": "many"}, {"batch": True}, {"lr": [1]}, {"seed": "0"}, {"compile": 1}, {"data": 5},
     {"sharpness": "flat"}, {"steps": 10**400}],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_a_run_whose_options_are_none(go: Callable[..., Path], options: dict[str, Any]):
    path = go(stage="first", steps=2)
    run = Run.open(path)
    run.config["options"] |= options
    run.write_config()
    with pytest.raises(UsageError):
        go(resume=True)


class Deep:
    """Builds layer after layer; counts those that are drawn."""

    def __init__(self, layers: int, width: int) -> None:
        self.about, self.layers, self.width, self.drawn = World().system().about, layers, width, 0
        self.Model = self.model

    def reader(self, config: Any, words: Any) -> None: ...

    def model(self, config: Any, reader: Any) -> nn.Module:
        network = nn.Sequential()
        for _ in range(self.layers):
            before = torch.get_rng_state()
            network.append(nn.Linear(self.width, self.width))
            self.drawn += not torch.equal(torch.get_rng_state(), before)
        return network


def test_networks_that_no_memory_holds_are_stopped_before_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
):
    deep = Deep(1_000_000, 2)
    with pytest.raises(UsageError, match="too many tensors"):
        made(cast(Any, deep), None, [])
    monkeypatch.setattr(build, "virtual_memory", lambda: SimpleNamespace(total=4 * 3000))
    wide = Deep(2, 50)
    with pytest.raises(UsageError, match="too many numbers"):
        made(cast(Any, wide), None, [])
    assert deep.drawn == wide.drawn == 0
    with torch.device("meta"):
        assert len(cast(Any, made(cast(Any, Deep(2, 10**5)), None, []))) == 2


def test_a_network_is_drawn_as_if_nobody_had_looked():
    torch.manual_seed(3)
    expected = Deep(2, 4).model(None, None).state_dict()
    torch.manual_seed(3)
    found = made(cast(Any, Deep(2, 4)), None, []).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


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
