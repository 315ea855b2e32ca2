"""Checkpoints that are damaged, that the disk has no room for, that belong to something else."""

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from dln.core.errors import DlnError, Interrupted, UsageError
from dln.core.files import sha256_file
from dln.core.training.events import Event, Note, Started, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.state import Checkpoints

from .toy_training import QUICK, Stopping, Toy, same, weights


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
