import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

sys.path.append(str(Path(__file__).parent))
import toy_training
from toy_training import QUICK, Toy, rows, weights

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.training.batches import Batches, indices_at
from dln.core.training.ema import Ema
from dln.core.training.events import (
    Evaluated,
    Event,
    Finished,
    Note,
    Saved,
    Started,
    Stepped,
    silent,
)
from dln.core.training.fit import fit
from dln.core.training.muon import Muon, orthogonal
from dln.core.training.run import Run, to_toml
from dln.core.training.settings import FitSettings, rate_factor
from dln.core.training.state import Checkpoints, load_optimizer_tensors, optimizer_tensors
from dln.core.training.stop import StopSignals


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Run]:
    def create(name: str = "run") -> Run:
        return Run.create(tmp_path / name, {"model": "toy"})

    return create


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """20 steps that nothing has disturbed."""
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", {"model": "toy"})
    fit(Toy(), QUICK, run, Accelerator(cpu=True), silent)
    return run


def same(first: Run, second: Run) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stopping(Toy):
    """Sends this process a signal after some steps."""

    def __init__(self, stops: dict[int, int], **options: Any) -> None:
        super().__init__(**options)
        self.stops = stops

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if step in self.stops:
            os.kill(os.getpid(), self.stops.pop(step))


# the schedule, the average, the order of samples


def test_schedule_by_hand():
    """100 steps, 10 of warm-up: 1/10 .. 1, then a cosine over 89 intervals down to 0.05."""
    factors = [rate_factor(step, 100, 10) for step in range(100)]
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert factors[9] == factors[10] == 1
    assert factors[99] == pytest.approx(0.05)
    assert rate_factor(50, 91, 0) == pytest.approx(0.05 + 0.475 * (1 + math.cos(math.pi * 5 / 9)))
    assert rate_factor(5, 11, 0) == pytest.approx(0.525)


def test_warm_up_takes_at_most_a_tenth():
    assert rate_factor(0, 10, 100) == 1
    assert rate_factor(1, 20, 100) == rate_factor(2, 20, 100) == 1


@given(st.integers(1, 500), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_schedule_stays_in_range(steps: int, warmup: int):
    factors = [rate_factor(step, steps, warmup) for step in range(steps)]
    rise = min(warmup, steps // 10)
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[rise:] == sorted(factors[rise:], reverse=True)


def test_ema_by_hand():
    """d = 0.1, 2/11, then 0.2 = the decay; weights 1, 2, 3 over an average of 0."""
    weight = nn.Parameter(torch.zeros(1))
    ema = Ema({"w": weight}, decay=0.2)
    expected = 0.0
    for step, decay in enumerate([0.1, 2 / 11, 0.2]):
        weight.data.fill_(step + 1.0)
        ema.update(step)
        expected = decay * expected + (1 - decay) * (step + 1)
    assert ema.averages["w"].item() == pytest.approx(expected)
    with ema.swapped():
        assert weight.item() == pytest.approx(expected)
    assert weight.item() == 3


@given(st.integers(1, 7), st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 3)]))
@settings(max_examples=20, deadline=None)
def test_each_sample_once_an_epoch(samples: int, split: tuple[int, int]):
    """Whatever the processes and micro-batches, and where a batch is larger than an epoch."""
    world, accumulate = split
    seen: list[tuple[int, int]] = []
    for rank in range(world):
        stage = Toy(batch=6, samples=samples)
        with Batches(stage, 0, rank, world, accumulate, torch.device("cpu")) as batches:
            parts = [batches.get(step, last=step == samples - 1) for step in range(samples)]
        assert all(len(micro) == accumulate for micro in parts)
        assert {len(b["x"]) for micro in parts for b in micro} == {6 // world // accumulate}
        seen += stage.seen
    assert sorted(seen) == [(epoch, i) for epoch in range(6) for i in range(samples)]


def test_epochs_have_their_own_order():
    (_, first), (_, second) = indices_at(np.arange(40), 0, "toy", 20)
    assert sorted(first) == sorted(second) == list(range(20))
    assert list(first) != list(second)
    assert list(indices_at(np.arange(20), 1, "toy", 20)[0][1]) != list(first)
    assert list(indices_at(np.arange(20), 0, "other", 20)[0][1]) != list(first)


# a training


def test_a_whole_training(new_run: Callable[..., Run], accelerator: Accelerator):
    run, events, stage = new_run(), list[Event](), Toy(steps=30)
    fit(stage, replace(QUICK, evaluate_every=10, log_every=5), run, accelerator, events.append)
    assert events[0] == Started("toy", 0, 30, 40, 97 + 5)
    assert isinstance(events[-1], Finished)
    assert [e.step for e in events if isinstance(e, Stepped)] == [5, 10, 15, 20, 25, 30]
    assert [e.step for e in events if isinstance(e, Evaluated)] == [10, 20, 30]
    assert [e.step for e in events if isinstance(e, Saved)] == [30]
    logged = [row for row in run.rows() if "loss" in row]
    assert logged[-1]["loss"] < logged[0]["loss"] / 2
    assert logged[0].keys() >= {"model_loss", "model_mae", "critic_loss", "critic_norm", "lr"}
    assert logged[0]["loss"] == logged[0]["model_loss"]
    kept = weights(run)
    assert all(torch.equal(kept[k], v) for k, v in stage.modules.state_dict().items())
    assert events[-1].metrics["mse"] == pytest.approx(stage.evaluate()[0]["mse"])
    assert sorted(p.name for p in (run.state / "toy").iterdir()) == [
        "final.json",
        "final.safetensors",
    ]


def test_weight_decay_spares_vectors(accelerator: Accelerator):
    from dln.core.training.learner import Learner

    (optimizer,) = Learner(Toy().players[0], QUICK, accelerator).optimizers.values()
    groups = optimizer.param_groups
    shapes = {group["weight_decay"]: [p.ndim for p in group["params"]] for group in groups}
    assert shapes == {0.1: [2, 2], 0.0: [1, 1]}


def test_a_player_leaves_the_others_alone(new_run: Callable[..., Run], accelerator: Accelerator):
    """The critic's loss depends on the model, whose weights only its own loss may move."""
    alone, both = Toy(steps=3), Toy(steps=3)
    alone.players = alone.players[:1]
    fit(alone, replace(QUICK, clip_norm=None), new_run("a"), accelerator, silent)
    fit(both, replace(QUICK, clip_norm=None), new_run("b"), accelerator, silent)
    for a, b in zip(alone.model.parameters(), both.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all(p.requires_grad for p in both.modules.parameters())


def test_four_micro_batches_of_two_equal_eight(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    parts = new_run("parts")
    fit(Toy(), replace(QUICK, accumulate=4), parts, accelerator, silent)
    for a, b in zip(rows(whole), rows(parts), strict=True):
        assert a == pytest.approx(b, abs=1e-6) if "loss" in a else a["step"] == b["step"]
    a, b = weights(whole), weights(parts)
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)


def test_bf16_trains(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    fit(Toy(steps=40), replace(QUICK, precision="bf16"), run, accelerator, silent)
    losses = [row["loss"] for row in run.rows() if "loss" in row]
    assert losses[-1] < losses[0] / 2
    assert all(w.dtype == torch.float32 for w in weights(run).values())


def test_a_contact_sheet(new_run: Callable[..., Run], accelerator: Accelerator):
    from dln.core.media.clip import Clip

    class Shown(Toy):
        def evaluate(self) -> Any:
            return {}, [Clip(np.zeros((4, 16, 16, 3), np.uint8), 4.0)] * 2

    run, events = new_run(), list[Event]()
    fit(Shown(steps=2), QUICK, run, accelerator, events.append)
    sheet = run.samples / "toy-000002.png"
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert Evaluated("toy", 2, {}, sheet) in events


# resuming


def test_killed_ten_times(new_run: Callable[..., Run], accelerator: Accelerator):
    """SIGKILL at random moments, writes slowed so that many fall into one."""
    killed, whole = new_run("killed"), new_run("whole")
    script = toy_training.__file__
    command = [sys.executable, script, str(killed.path), "10"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert found["exit"] == 0
    assert found["killed"] == 10
    assert found["drafts"] > 0
    kinds = FitSettings(warmup=4, log_every=2, checkpoint_every=3, evaluate_every=10)
    fit(Toy(steps=60, noise=0.1), kinds, whole, accelerator, silent)
    assert same(killed, whole)
    assert rows(killed) == rows(whole)
    assert [r["step"] for r in killed.rows() if "loss" in r] == list(range(2, 61, 2))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resumes(
    new_run: Callable[..., Run], accelerator: Accelerator, number: int
):
    stopped, whole = new_run("it's stopped"), new_run("whole")
    before = signal.getsignal(number)
    options = replace(QUICK, log_every=5, evaluate_every=6)
    stops = {7: number, 13: number}
    for step in (7, 13):
        with pytest.raises(Interrupted, match=f"step {step} of 20, checkpoint saved") as caught:
            fit(Stopping(stops, noise=0.1), options, stopped, accelerator, silent)
        assert (caught.value.hint or "").startswith("dln train toy --resume --out '")
    fit(Stopping(stops, noise=0.1), options, stopped, accelerator, silent)
    fit(Toy(noise=0.1), options, whole, accelerator, silent)
    assert signal.getsignal(number) is before
    assert same(stopped, whole)
    assert rows(stopped) == rows(whole)


def test_stopped_after_the_last_step(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    """What remains is done again, and the log has its lines once."""

    class Failing(Toy):
        def finish(self) -> None:
            raise KeyboardInterrupt

    run = new_run()
    with pytest.raises(KeyboardInterrupt):
        fit(Failing(), QUICK, run, accelerator, silent)
    fit(Toy(), QUICK, run, accelerator, silent)
    assert same(run, whole)
    assert rows(run) == rows(whole)


def test_what_fails_in_a_stage_comes_through(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    """In the background thread or in an evaluation; the weights in training come back."""

    class Failing(Toy):
        def collate(self, indices: np.ndarray, epoch: int) -> Any:
            if epoch == 2:
                raise OSError("video 7 cannot be read")
            return super().collate(indices, epoch)

        def evaluate(self) -> Any:
            raise RuntimeError("no clips")

    run, options = new_run(), replace(QUICK, checkpoint_every=3)
    with pytest.raises(OSError, match="video 7"):
        fit(Failing(), options, run, accelerator, silent)
    with pytest.raises(RuntimeError, match="no clips"):
        fit(Failing(samples=400), replace(options, evaluate_every=1), run, accelerator, silent)
    fit(Toy(), options, run, accelerator, silent)
    assert same(run, whole)


def test_stage_state_comes_back(new_run: Callable[..., Run], accelerator: Accelerator):
    run, stage = new_run(), Stopping({7: signal.SIGINT})
    with pytest.raises(Interrupted):
        fit(stage, QUICK, run, accelerator, silent)
    again = Toy()
    fit(again, QUICK, run, accelerator, silent)
    assert again.counter.item() == pytest.approx(sum(1 / n for n in range(1, 21)))


def test_a_second_ctrl_c_is_at_once():
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # a launcher's echo
        assert stop.requested
        stop._since -= 2

        def again() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

        with pytest.raises(KeyboardInterrupt):
            again()


def test_signals_need_the_main_thread():
    old = signal.getsignal(signal.SIGINT)

    def listen() -> None:
        with StopSignals() as stop:
            assert not stop.requested
            assert signal.getsignal(signal.SIGINT) is old

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()


def test_an_ignored_signal_stays_ignored():
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGTERM, old)


def halfway(run: Run, accelerator: Accelerator) -> Path:
    """A run that stopped at step 13 of 20 with checkpoints of steps 12 and 13."""
    stage = Stopping({13: signal.SIGINT})
    with pytest.raises(Interrupted):
        fit(stage, replace(QUICK, checkpoint_every=4), run, accelerator, silent)
    assert Checkpoints(run.state / "toy").steps() == [12, 13]
    return run.state / "toy" / "step-000013"


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink])
@pytest.mark.parametrize(
    "name", ["weights.safetensors", "optimizer.safetensors", "info.json", "checksums.json"]
)
def test_a_damaged_checkpoint(
    new_run: Callable[..., Run],
    whole: Run,
    accelerator: Accelerator,
    damage: Callable[[Path], None],
    name: str,
):
    """The newest is damaged: a note, the one before, and the same end."""
    run = new_run()
    newest = halfway(run, accelerator)
    damage(newest / name)
    events: list[Event] = []
    fit(Toy(), QUICK, run, accelerator, events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len(notes) == 1
    assert "step-000013 is damaged" in notes[0]
    assert Started("toy", 12, 20, 40, 102) in events
    assert same(run, whole)
    assert [r["step"] for r in run.rows() if "loss" in r] == list(range(1, 21))


def test_no_sound_checkpoint(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    newest = halfway(run, accelerator)
    for folder in newest.parent.glob("step-*"):
        _flip(folder / "average.safetensors")
    for _ in range(2):
        with pytest.raises(DlnError, match="no sound checkpoint is left"):
            fit(Toy(), QUICK, run, accelerator, silent)


def test_a_full_disk(
    new_run: Callable[..., Run],
    whole: Run,
    accelerator: Accelerator,
    monkeypatch: pytest.MonkeyPatch,
):
    run = new_run()
    newest = halfway(run, accelerator)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    class Filling(Toy):
        def after_step(self, step: int, reduce: Any) -> None:
            super().after_step(step, reduce)
            if step == 15:
                monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(DlnError, match="disk full while writing"):
        fit(Filling(), replace(QUICK, checkpoint_every=4), run, accelerator, silent)
    monkeypatch.undo()
    assert newest.is_dir()
    assert not list(newest.parent.glob(".draft-*"))
    fit(Toy(), QUICK, run, accelerator, silent)
    assert same(run, whole)


def test_a_full_disk_inside_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from safetensors import SafetensorError

    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    checkpoints = Checkpoints(tmp_path / "toy")
    checkpoints.save(1, {"a": {"x": torch.ones(2)}}, {})
    monkeypatch.setattr("dln.core.training.state.save_file", full)
    with pytest.raises(DlnError, match="disk full"):
        checkpoints.save(2, {"a": {"x": torch.ones(2)}}, {})
    assert checkpoints.steps() == [1]


def test_other_settings_are_said(new_run: Callable[..., Run], accelerator: Accelerator):
    run, events = new_run(), list[Event]()
    halfway(run, accelerator)
    fit(Toy(steps=25, batch=4), QUICK, run, accelerator, events.append)
    text = next(event.text for event in events if isinstance(event, Note))
    assert "steps 20 -> 25" in text
    assert "batch 8 -> 4" in text


def test_another_model_is_refused(new_run: Callable[..., Run], accelerator: Accelerator):
    run, other = new_run(), Toy()
    halfway(run, accelerator)
    other.modules.add_module("extra", nn.Linear(2, 2))
    with pytest.raises(UsageError, match="belongs to another configuration"):
        fit(other, QUICK, run, accelerator, silent)


# what cannot work is said


def test_a_loss_that_is_not_finite(new_run: Callable[..., Run], accelerator: Accelerator):
    class Diverging(Toy):
        def after_step(self, step: int, reduce: Any) -> None:
            if step == 9:
                self.players[0].parameters[0].data.fill_(math.nan)

    run = new_run()
    with pytest.raises(DlnError, match=r"stage 'toy' diverged at step 10: .* step 8 is") as caught:
        fit(Diverging(), replace(QUICK, checkpoint_every=4), run, accelerator, silent)
    assert "--lr" in (caught.value.hint or "")
    assert Checkpoints(run.state / "toy").steps() == [4, 8]
    found = Checkpoints(run.state / "toy").load(print)
    assert found is not None
    assert all(w.isfinite().all() for w in found.groups["weights"].values())


def test_a_batch_that_does_not_divide(new_run: Callable[..., Run], accelerator: Accelerator):
    with pytest.raises(UsageError, match=r"batch 8 .* 1 processes x 3 micro-batches") as caught:
        fit(Toy(), replace(QUICK, accumulate=3), new_run(), accelerator, silent)
    assert caught.value.hint == "--batch 9"


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch": 0}, {"samples": 0}])
def test_empty_stages(
    new_run: Callable[..., Run], accelerator: Accelerator, options: dict[str, int]
):
    with pytest.raises(UsageError, match="stage 'toy'"):
        fit(Toy(**options), QUICK, new_run(), accelerator, silent)


@pytest.mark.parametrize(
    "field", [{"precision": "fp16"}, {"accumulate": 0}, {"ema_decay": 1.0}, {"log_every": 0}]
)
def test_settings_name_the_field(field: dict[str, Any]):
    with pytest.raises(UsageError, match=next(iter(field))):
        FitSettings(**field)


def test_parameters_outside_the_modules(new_run: Callable[..., Run], accelerator: Accelerator):
    stage = Toy()
    stage.players[0].parameters.append(nn.Parameter(torch.zeros(1)))
    with pytest.raises(ValueError, match=r"not in stage\.modules"):
        fit(stage, QUICK, new_run(), accelerator, silent)


# checkpoints and runs


def test_tied_and_strided_weights(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    base = torch.arange(12.0).reshape(3, 4)
    groups = {"weights": {"a": base, "b": base, "c": base.T, "d": base[1]}, "none": {}}
    for step in (1, 2, 3):
        checkpoints.save(step, groups, {"x": 0.1})
    assert checkpoints.steps() == [2, 3]
    found = checkpoints.load(print)
    assert found is not None
    assert (found.step, found.info["x"]) == (3, 0.1)
    assert all(torch.equal(v, groups["weights"][k]) for k, v in found.groups["weights"].items())
    assert found.groups["none"] == {}


def test_a_damaged_result(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    fit(Toy(steps=2), QUICK, run, accelerator, silent)
    _flip(run.state / "toy" / "final.safetensors")
    with pytest.raises(DlnError, match=r"final\.safetensors is damaged"):
        weights(run)


def test_checkpoints_by_the_clock(new_run: Callable[..., Run], accelerator: Accelerator):
    events: list[Event] = []
    fit(Toy(steps=3), replace(QUICK, checkpoint_seconds=0), new_run(), accelerator, events.append)
    assert [event.step for event in events if isinstance(event, Saved)] == [1, 2, 3]


def test_an_existing_run_is_kept(tmp_path: Path):
    run = Run.create(tmp_path / "x", {"model": "toy"})
    run.log({"stage": "toy", "step": 1})
    with pytest.raises(UsageError, match="x exists") as caught:
        Run.create(tmp_path / "x", {})
    assert "--force" in (caught.value.hint or "")
    assert Run.create(tmp_path / "x", {"model": "other"}, force=True).rows() == []
    assert Run.open(tmp_path / "x").config == {"model": "other"}


def test_force_spares_what_is_not_a_run(tmp_path: Path):
    (tmp_path / "samples").mkdir()
    with pytest.raises(UsageError, match="is not a run"):
        Run.create(tmp_path, {}, force=True)
    assert (tmp_path / "samples").is_dir()


def test_no_run_to_open(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a run"):
        Run.open(tmp_path / "missing")
    (tmp_path / "config.toml").write_text("model = ")
    with pytest.raises(UsageError, match="cannot be read"):
        Run.open(tmp_path)


def test_one_training_at_a_time(tmp_path: Path):
    pytest.importorskip("fcntl")
    run = Run.create(tmp_path / "x", {})
    with run.locked():
        with pytest.raises(UsageError, match="by another process"), Run.open(run.path).locked():
            pass
        with pytest.raises(UsageError, match="by another process"):
            Run.create(run.path, {}, force=True)
    with Run.open(run.path).locked():
        pass


def test_the_log_survives_a_cut_line(tmp_path: Path):
    run = Run.create(tmp_path / "x", {})
    for step in (1, 2, 3):
        run.log({"stage": "a", "step": step, "loss": math.nan if step == 2 else 1.0})
    run.log({"stage": "b", "step": 9})
    with open(run.stats, "a") as file:
        file.write('{"stage": "a", "st')
    run.rewind("a", 2)
    assert run.rows() == [
        {"stage": "a", "step": 1, "loss": 1.0},
        {"stage": "a", "step": 2, "loss": None},
        {"stage": "b", "step": 9},
    ]


_SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text()
)
_TABLES = st.recursive(
    st.dictionaries(st.text(), st.one_of(_SCALARS, st.lists(_SCALARS)), max_size=4),
    lambda inner: st.dictionaries(st.text(), st.one_of(_SCALARS, inner), max_size=3),
    max_leaves=6,
)


@given(_TABLES)
@settings(max_examples=40, deadline=None)
def test_toml_round_trip(table: dict[str, Any]):
    assert tomllib.loads(to_toml(table)) == table


def test_toml_by_hand():
    table = {"model": "x", "none": None, "fit": {"lr": 1e-05, "sizes": (1, 2), "deep": {"a": True}}}
    assert to_toml(table) == (
        'model = "x"\n\n[fit]\nlr = 1e-05\nsizes = [1, 2]\n\n[fit.deep]\na = true\n'
    )


def test_muon_takes_matrices_of_one_shape_together_and_moves_each_as_if_alone():
    torch.manual_seed(0)
    shapes = [(6, 4), (4, 6), (6, 4), (8, 2, 3, 3), (8, 2, 3, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    optimizers = [Muon(together, 0.1, 0.01), *(Muon([p], 0.1, 0.01) for p in alone)]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_muon_s_update_has_all_singular_values_about_1():
    torch.manual_seed(0)
    matrices = torch.randn(3, 20, 50, dtype=torch.float64)
    for update in (orthogonal(matrices), orthogonal(matrices.mT).mT):
        values = torch.linalg.svdvals(update)
        assert 0.5 < values.min() < values.max() < 1.3
        ours, _, theirs = torch.linalg.svd(matrices, full_matrices=False)
        alike = ours.mT @ update @ theirs.mT  # the same directions, so nearly diagonal
        off = alike - torch.diag_embed(alike.diagonal(dim1=-2, dim2=-1))
        assert off.abs().max() < 1e-6


def test_muon_moves_its_matrices_and_adamw_the_rest():
    from dln.core.training.learner import create_optimizers

    player = Toy().players[0]
    player.muon = [p for p in player.parameters if p.ndim == 2][:1]
    adamw, muon = create_optimizers(player, torch.device("cpu")).values()
    moved = [id(p) for o in (adamw, muon) for g in o.param_groups for p in g["params"]]
    assert sorted(moved) == sorted(id(p) for p in player.parameters)
    assert [id(p) for g in muon.param_groups for p in g["params"]] == [id(player.muon[0])]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_moments_come_back_in_the_parameters_order_in_memory(device: str):
    """AdamW's fused kernel, the one on a GPU, refuses any other."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.manual_seed(0)
    from dln.core.training.learner import create_optimizers
    from dln.core.training.stage import Player

    kernels = nn.Conv2d(4, 6, 3, device=device).to(memory_format=torch.channels_last)  # pyright: ignore
    player = Player("one", kernels, list(kernels.parameters()), 0.1)

    def stepped(optimizer: torch.optim.Optimizer) -> None:
        for parameter in kernels.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    (first,) = create_optimizers(player, torch.device(device)).values()
    stepped(first)
    saved = {k: v.cpu().contiguous() for k, v in optimizer_tensors(first, "one").items()}
    (again,) = create_optimizers(player, torch.device(device)).values()
    load_optimizer_tensors(again, "one", saved)
    for parameter in kernels.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            assert again.state[parameter][name].stride() == parameter.stride()
            assert torch.equal(again.state[parameter][name], first.state[parameter][name])
    stepped(again)


def test_a_player_with_muon_resumes_to_the_same_bits(
    new_run: Callable[..., Run], accelerator: Accelerator
):
    def toy(steps: int) -> Toy:
        stage = Toy(steps=steps)
        player = stage.players[0]
        player.muon = [p for p in player.parameters if p.ndim == 2][:1]
        return stage

    whole, halves = toy(6), toy(6)
    settings = replace(QUICK, checkpoint_every=3)
    fit(whole, settings, new_run("whole"), accelerator, silent)
    run = new_run("halves")

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        if isinstance(event, Saved) and event.step == 3:
            raise Stop

    with pytest.raises(Stop):
        fit(toy(6), settings, run, accelerator, stop)
    fit(halves, settings, run, accelerator, silent)
    for name, tensor in whole.modules.state_dict().items():
        assert torch.equal(tensor, halves.modules.state_dict()[name])
