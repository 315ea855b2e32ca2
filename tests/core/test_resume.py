"""Trainings that are stopped, killed or damaged end with the bits of one that was left alone."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.files import sha256_file
from dln.core.training.events import Event, Note, Saved, Started, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.state import Checkpoints
from dln.core.training.stop import StopSignals

from .toy_training import QUICK, Toy, rows, weights


def same(first: Run, second: Run, stage: str = "toy") -> bool:
    a, b = weights(first, stage), weights(second, stage)
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


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of killing.py's runs, and what it says."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize(
    ("toy", "stage"),
    [("two players", "toy"), ("history", "classes"), ("gan", "adversarial"), ("pieces", "patches")],
)
def test_killed_where_it_writes(
    killed: tuple[Path, dict[str, Any]], toy: str, stage: str, when: str
):
    folder, died = killed
    ended, left_alone = Run.open(folder / toy / when), Run.open(folder / toy / "whole")
    assert len(died[toy][when]) >= (3 if when == "late" else 6)
    assert same(ended, left_alone, stage)
    assert rows(ended) == rows(left_alone)
    names = [sorted(p.name for p in (run.state / stage).iterdir()) for run in (ended, left_alone)]
    assert names[0] == names[1] == ["final.json", "final.safetensors"]


def test_the_kills_fall_everywhere(killed: tuple[Path, dict[str, Any]]):
    """Into tensors half written, before flushes and renames, between the files of a checkpoint."""
    died = killed[1]["two players"]
    assert {"half a file", "fsync", "open", "os.mkdir", "os.rename"} <= set(died["early"])
    assert {"half a file", "os.rename", "shutil.rmtree", "os.rmdir"} <= set(died["late"])
    assert died["early"].count("half a file") >= 4


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


def test_a_player_optimised_otherwise_is_said(
    new_run: Callable[..., Run], accelerator: Accelerator
):
    run, events, stage = new_run(), list[Event](), Toy()
    halfway(run, accelerator)
    stage.players[1].average = None
    fit(stage, QUICK, run, accelerator, events.append)
    text = next(event.text for event in events if isinstance(event, Note))
    assert "'average': 'Average(decay=0.9)'" in text
    assert "'average': 'None'" in text


def test_what_an_older_checkpoint_does_not_tell_is_not_compared(
    new_run: Callable[..., Run], whole: Run, accelerator: Accelerator
):
    """Once the settings of all players were those of the training."""
    run, events = new_run(), list[Event]()
    newest = halfway(run, accelerator)
    info, sums = (json.loads((newest / f"{n}.json").read_text()) for n in ("info", "checksums"))
    del info["settings"]["optimisation"]
    info["settings"] |= {"warmup": 4, "ema_decay": 0.9, "clip_norm": 1.0}
    (newest / "info.json").write_text(json.dumps(info))
    sums["info.json"] = sha256_file(newest / "info.json")
    (newest / "checksums.json").write_text(json.dumps(sums))
    fit(Toy(), QUICK, run, accelerator, events.append)
    assert not [event for event in events if isinstance(event, Note)]
    assert same(run, whole)


def test_another_model_is_refused(new_run: Callable[..., Run], accelerator: Accelerator):
    run, other = new_run(), Toy()
    halfway(run, accelerator)
    other.modules.add_module("extra", nn.Linear(2, 2))
    with pytest.raises(UsageError, match="belongs to another configuration"):
        fit(other, QUICK, run, accelerator, silent)


def test_tied_and_strided_weights(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    base = torch.arange(12.0).reshape(3, 4)
    groups = {"weights": {"a": base, "b": base, "c": base.T, "d": base[1]}, "none": {}}
    for step in (1, 2, 3):
        checkpoints.save(step, groups, {"x": 0.1})
    assert checkpoints.steps() == [2, 3]
    newest = checkpoints.load(print)
    assert newest is not None
    assert (newest.step, newest.info["x"]) == (3, 0.1)
    assert all(torch.equal(v, groups["weights"][k]) for k, v in newest.groups["weights"].items())
    assert newest.groups["none"] == {}


def test_a_damaged_result(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    fit(Toy(steps=2), QUICK, run, accelerator, silent)
    _flip(run.state / "toy" / "final.safetensors")
    with pytest.raises(DlnError, match=r"final\.safetensors is damaged"):
        weights(run)


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
