"""What a training will take: by a clock of our own, brute force, and worked by hand."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dln.core.carbon.costs.energy import REACHED
from dln.core.carbon.meter.meter import Energy
from dln.core.carbon.values import Spread
from dln.core.data.planned import Plan, planning
from dln.core.data.reader import Reader
from dln.core.data.table import build_table
from dln.core.models.registry import MODELS
from dln.core.runs import forecast as module
from dln.core.runs import rehearsal
from dln.core.runs.costs import ESTIMATED, LIKE_STEPS, MEASURED, Took
from dln.core.runs.forecast import forecast
from dln.core.runs.outlay import outlay
from dln.core.runs.rehearsal import rehearse
from dln.core.runs.work import work
from dln.core.training.evaluations import EARLY, evaluated, evaluations
from dln.core.training.events import silent
from dln.core.training.options import TrainOptions
from dln.core.training.player import Player, Turn
from dln.core.training.settings import FitSettings
from dln.core.training.stage import Stage

from .toy_systems import Colours
from .toy_training import Toy

A_SAMPLE, PENALTY, READ, MOVED = 0.125, 8.0, 0.03125, 1 / 64  # seconds of the clock in these tests


class Clock:
    """Goes on when it is told to."""

    now = 0.0

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rehearsal, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


class Timed(nn.Module):
    def __init__(self, weight: nn.Parameter, clock: Clock, a_sample: float, once: float) -> None:
        super().__init__()
        self.weight, self.clock, self.a_sample, self.once = weight, clock, a_sample, once

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.clock.spend(self.once + self.a_sample * len(batch["x"]))
        return {"loss": (self.weight * batch["x"]).square().mean()}


class Slow(Stage):
    """A sample takes A_SAMPLE, and twice as long in the second half; every fourth step a penalty;
    an evaluation takes what `evaluated_s` says for all of it."""

    name = "slow"
    phases = (0.0, 0.5)
    evaluated_s = 6.0

    def __init__(self, clock: Clock, batch: int = 8, steps: int = 100) -> None:
        self.clock, self.batch, self.steps = clock, batch, steps
        self.modules = nn.ParameterDict({"weight": nn.Parameter(torch.ones(3))})
        weight = self.modules["weight"]
        self.loss = Timed(weight, clock, A_SAMPLE, 0.0)
        turns = [Turn(self.loss), Turn(Timed(weight, clock, 0.0, PENALTY), every=4, name="r1")]
        self.players = [Player("slow", turns, [weight], 1e-3)]

    def __len__(self) -> int:
        return 5

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        assert max(indices) < len(self)
        self.clock.spend(READ * len(indices))
        return {"x": torch.ones(len(indices), 3)}

    def after_step(self, step: int, reduce: Any) -> None:
        self.loss.a_sample = A_SAMPLE * (2 if step > self.steps // 2 else 1)

    def evaluate(self) -> tuple[dict[str, float], None]:
        self.clock.spend(self.evaluated_s * self.share)
        return {}, None


@pytest.mark.parametrize("batch", [2, 8, 512])
def test_a_rehearsal_tells_what_the_whole_batch_takes(batch, clock, accelerator, monkeypatch):
    monkeypatch.setattr(rehearsal, "SLOW_S", 100.0)
    found = rehearse(Slow(clock, batch), FitSettings(), accelerator, 3)
    assert found is not None
    assert found.samples == min(batch, 1)
    assert found.step_s == pytest.approx(1.5 * A_SAMPLE * batch + PENALTY / 4 * batch)
    assert found.read_s == pytest.approx(READ * batch)
    assert found.evaluation_s == (6.0, 6.0)


def test_a_part_of_the_batch_that_fits_a_second(clock, accelerator):
    stage = Slow(clock, 64)
    stage.players[0].turns = stage.players[0].turns[:1]
    found = rehearse(stage, FitSettings(), accelerator, 0)
    assert found is not None
    assert found.samples == int(rehearsal.STEP_S / A_SAMPLE) == 8
    assert found.step_s == pytest.approx(1.5 * A_SAMPLE * 64)
    assert found.evaluation_s is None


def test_what_moves_the_weights_does_not_grow_with_the_batch(clock, accelerator, monkeypatch):
    stage = Slow(clock, 64)
    stage.players[0].turns, stage.phases = stage.players[0].turns[:1], (0.0,)

    def step(self, *asked):  # the optimiser, within a turn and alone
        clock.spend(MOVED)
        return 0.0

    monkeypatch.setattr("dln.core.training.learner.Learner.step", step)
    found = rehearse(stage, FitSettings(), accelerator, 0)
    assert found is not None
    assert found.step_s == pytest.approx(A_SAMPLE * 64 + MOVED)


def test_a_slow_stage_takes_one_step_alone(clock, accelerator):
    stage = Slow(clock, 64)
    found = rehearse(stage, FitSettings(), accelerator, 3)
    assert found is not None
    assert clock.now == pytest.approx(A_SAMPLE + PENALTY + READ)
    assert found.step_s == pytest.approx(64 * (A_SAMPLE + PENALTY / 4))
    assert found.evaluation_s is None


def test_numbers_that_are_not_finite(clock, accelerator):
    stage = Slow(clock)
    with torch.no_grad():
        stage.players[0].parameters[0].fill_(float("inf"))
    assert rehearse(stage, FitSettings(), accelerator, 0) is None


def test_a_real_stage_and_what_its_backward_pass_keeps(accelerator):
    """Of 8 samples: the input (4 numbers), tanh of 16, the output and its error for the squares;
    the critic the input, its output's difference."""
    found = rehearse(Toy(), FitSettings(), accelerator, 2)
    assert found is not None
    assert found.step_s > 0
    assert 4 * (4 + 16) <= found.activation_bytes <= 4 * (4 + 16 + 8)


def test_outlay_by_hand():
    """A perceptron 4 -> 16 -> 1 and a critic 4 -> 1, both AdamW with an average: gradients, two
    moments, the average; a checkpoint has the weights instead of the gradients."""
    count = (4 * 16 + 16) + (16 + 1) + (4 + 1)
    found = outlay(Toy())
    assert (found.training, found.checkpoint, found.weights) == (16 * count, 16 * count, 4 * count)
    plain = Toy()
    for player in plain.players:
        player.average, player.optimizer = None, "sgd"
    assert outlay(plain).training == 8 * count
    plain.players[0].muon = plain.players[0].parameters
    assert outlay(plain).training == 8 * count


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3000), st.none() | st.integers(1, 700), st.none() | st.integers(1, 700),
    st.integers(0, 3000),
)  # fmt: skip
def test_evaluations_are_counted_as_they_come(steps, asked, own, done):
    stage, chosen = Toy(steps=steps), FitSettings(evaluate_every=asked)
    stage.evaluate_every, done = own, min(done, steps - 1)
    times = [step for step in range(1, steps + 1) if evaluated(stage, chosen, step)]
    assert times[-1] == steps
    assert evaluations(stage, chosen, done) == sum(step > done for step in times)
    if asked is None and own is None and steps >= 1000:
        assert times == [*(steps // parts for parts in EARLY), steps]


def filled(index: int) -> np.ndarray:
    return np.full((3,), index)


def test_a_planned_table_is_not_built(tmp_path):
    plan, path = Plan(), tmp_path / "cache" / "rows.bin"
    with planning(plan) as tables:
        table = build_table(path, 100, (3,), np.int32, filled, key="a", workers=0)
        build_table(path, 100, (3,), np.int32, filled, key="a")
        build_table(path, 50, (3,), np.int32, filled, key="b")
    assert os.listdir(tmp_path) == []
    assert table.shape == (100, 3)
    assert (table[[7, 99]] == 0).all()
    assert [(each.rows, each.left, each.row_bytes, each.kept) for each in tables] == [
        (100, 100, 12, True), (50, 50, 12, True)
    ]  # fmt: skip
    assert plan.bytes == 1200
    assert isinstance(build_table(path, 100, (3,), np.int32, filled, key="a"), np.memmap)
    with planning(Plan()) as again:
        build_table(path, 100, (3,), np.int32, filled, key="a")
    assert (again[0].left, again[0].seconds) == (0, 0.0)


def test_a_table_without_room_is_read_row_by_row(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000, "total": 2000, "used": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with planning(Plan()) as tables:
        build_table(tmp_path / "rows.bin", 100, (3,), np.int32, filled, key="a")
    assert isinstance(build_table(tmp_path / "rows.bin", 100, (3,), np.int32, filled, key="a"),
                      Reader)  # fmt: skip
    assert (tables[0].kept, tables[0].bytes, tables[0].seconds) == (False, 0, 0.0)
    assert tables[0].row_s > 0
    assert replace(tables[0], kept=True, row_s=0.5, workers=0).seconds == 50


def test_evaluations_that_were_not_tried_are_assumed():
    step = Spread(1.0, 2.0, 3.0)
    assert Took(step, 0.0).evaluations_s(5) == 5 * LIKE_STEPS * 2.0
    assert Took(step, 0.0, (7.0, 4.0)).evaluations_s(3) == 15.0


class Watts:
    """A meter of 36 W, by the clock of these tests."""

    power = {"cpu": "measured (RAPL)", "gpu": "none"}  # noqa: RUF012

    def __init__(self, *asked: Any, **more: Any) -> None: ...
    def wait(self, seconds: float) -> None: ...
    def close(self) -> None: ...

    def read(self) -> Energy:
        return Energy(cpu=36 * module.time.perf_counter() / 3.6e6)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A meter that is ready at once, pictures of one hue each; the folder that nothing is written
    to."""
    monkeypatch.setattr(module, "Meter", Watts)
    monkeypatch.setattr(module, "LOAD_S", 0.01)
    monkeypatch.setattr(module, "open_source", lambda *asked, **more: Colours())
    monkeypatch.setattr("dln.core.runs.work.open_source", lambda *asked, **more: Colours())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_forecast_writes_nothing(quick):
    found = forecast("toy-gan", TrainOptions(steps=40, batch=4))
    [stage] = found.stages
    assert (stage.how, stage.steps, stage.batch) == (MEASURED, 40, 4)
    assert stage.took.samples == 4
    assert found.watts is not None
    assert found.watts == pytest.approx(36, rel=0.2)
    assert found.kwh is not None
    assert found.kwh.expected == pytest.approx(found.seconds.expected * found.watts / 3.6e6)
    beside = found.begin_s + stage.prepare_s + stage.evaluate_s + stage.save_s
    assert found.seconds.expected == pytest.approx(beside + 40 * stage.took.step_s.expected)
    assert os.listdir(quick) == []


def test_what_is_too_large_is_estimated_by_its_operations(quick, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "matrix_rate", lambda *asked: 1e6)
    found = forecast("toy-gan", TrainOptions(steps=10, batch=4))
    [stage], [counted] = found.stages, work("toy-gan", TrainOptions(steps=10, batch=4))
    assert (stage.how, stage.took.samples) == (ESTIMATED, None)
    assert stage.took.flop == counted.flop_per_sample
    seconds = 4 * counted.flop_per_sample / 1e6
    ends = [seconds / share for share in (REACHED.high, REACHED.expected, REACHED.low)]
    assert [stage.took.step_s.low, stage.took.step_s.expected, stage.took.step_s.high] == ends
    assert found.rate == 1e6
    assert found.watts is not None  # under matrix products
    assert found.seconds.low < found.seconds.expected < found.seconds.high


def test_pieces_are_measured_too(quick):
    [stage] = forecast("toy-pieces", TrainOptions(steps=5)).stages
    assert stage.how == MEASURED
    assert stage.took.step_s.expected > 0
    assert stage.took.activation_bytes > 0


def test_of_a_run_that_goes_on_what_is_left(quick):
    from dln.core.runs.train import train

    about = MODELS["toy-gan"]
    options = TrainOptions(steps=6, batch=4, out=quick / "run", checkpoint_every=2, device="cpu")
    train(about.name, options, silent)
    again = replace(options, resume=True)
    [stage] = forecast(about.name, again).stages
    assert (stage.how, stage.steps, stage.seconds.expected) == ("finished", 0, 0)
    [anew] = forecast(about.name, options).stages  # --force would begin again
    assert (anew.how, anew.steps) == (MEASURED, 6)
