"""Checkpoints that are damaged, that the disk has no room for, that belong to something else."""

import errno
import json
import math
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
from dln.core.training.keeper import Keeper
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


def _with_sum(path: Path, text: str) -> None:
    """Another text, whose checksum is right."""
    path.write_text(text)
    sums = json.loads((path.parent / "checksums.json").read_text())
    sums[path.name] = sha256_file(path)
    (path.parent / "checksums.json").write_text(json.dumps(sums))


def _progress(text: str, **changes: Any) -> str:
    info = json.loads(text)
    info["progress"] |= changes
    return json.dumps(info)


SUMS = ["{}", "5", "[]", "null", '{"info.json": 5}', 40_000 * "[", "", '{"../../x": "0"}',
        '{"/dev/zero": "0", "info.json": "0"}']  # fmt: skip
INFOS: list[Callable[[str], str]] = [
    lambda text: "5",
    lambda text: "{}",
    lambda text: text.replace('"step": 13', '"step": 12'),
    lambda text: text.replace('"step": 13', '"step": "13"'),
    lambda text: text.replace('"step": 13', '"step": 1e999'),
    lambda text: text.replace('"step": 13', '"step": ' + 5000 * "9"),
    lambda text: _progress(text, seconds=None),
    lambda text: _progress(text, seconds=-1),
    lambda text: _progress(text, counts={"loss": 0}),
    lambda text: _progress(text, sums={"loss": "x"}, counts={"loss": 1}),
    lambda text: _progress(text, metrics=[]),
    lambda text: "[" * 40_000,
]


def fallen_back(run: Run, whole: Run, accelerator: Accelerator) -> str:
    """The run goes on with the checkpoint of step 12 and ends like `whole`; what it notes."""
    events: list[Event] = []
    fit(Toy(), QUICK, run, accelerator, events.append)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert Started("toy", 12, 20, 40, 102) in events
    assert same(run, whole)
    return note


def test_checksums_of_nothing(new_run: Callable[..., Run], whole: Run, accelerator: Accelerator):
    run = new_run()
    (halfway(run, accelerator) / "checksums.json").write_text("{}")
    assert "step-000013 is damaged" in fallen_back(run, whole, accelerator)


def test_a_checkpoint_that_says_what_is_none(new_run: Callable[..., Run], accelerator: Accelerator):
    run = new_run()
    newest = halfway(run, accelerator)
    told, sums = ((newest / name).read_text() for name in ("info.json", "checksums.json"))
    checkpoints = Keeper(Toy(), QUICK, run, accelerator, silent).checkpoints

    def is_passed_over() -> None:
        notes: list[str] = []
        found = checkpoints.load(notes.append, quarantine=False)
        assert found is not None
        assert (found.step, len(notes)) == (12, 1)

    for text in SUMS:
        (newest / "checksums.json").write_text(text)
        is_passed_over()
    (newest / "checksums.json").write_text(sums)
    for change in INFOS:
        _with_sum(newest / "info.json", change(told))
        is_passed_over()
    _with_sum(newest / "info.json", told)
    found = checkpoints.load(print)
    assert found is not None
    assert found.step == 13


def test_metrics_that_are_not_finite(new_run: Callable[..., Run], accelerator: Accelerator):
    """Also where an earlier version wrote NaN, which JSON has not."""
    run = new_run()
    newest = halfway(run, accelerator)
    told = json.loads((newest / "info.json").read_text())
    told["progress"]["metrics"] = {"psnr": math.inf}
    _with_sum(newest / "info.json", json.dumps(told))
    events: list[Event] = []
    fit(Toy(), QUICK, run, accelerator, events.append)
    assert Started("toy", 13, 20, 40, 102) in events
    assert not [event for event in events if isinstance(event, Note)]
    checkpoints = Checkpoints(run.state / "other")
    checkpoints.finish(
        {"x": torch.ones(1)}, {"steps": 1, "seconds": 1.0, "metrics": {"psnr": math.nan}}
    )
    assert (checkpoints.finished() or {})["metrics"] == {"psnr": None}


@pytest.mark.parametrize(
    "text", ["5", "[]", "", '{"steps": 2}', '{"sha256": 5}', 40_000 * "[", '{"sha256": "a" "b"}']
)
def test_a_final_json_that_is_none(tmp_path: Path, text: str):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.finish({"x": torch.ones(1)}, {"steps": 1, "seconds": 1.0, "metrics": {}})
    (tmp_path / "final.json").write_text(text)
    for read in (checkpoints.finished, checkpoints.load_final):
        with pytest.raises(DlnError, match=r"final\.json is damaged") as caught:
            read()
        assert "--force" in (caught.value.hint or "")


def test_files_have_the_permissions_of_their_neighbours(tmp_path: Path):
    checkpoints, old = Checkpoints(tmp_path / "toy"), os.umask(0o027)
    try:
        step = checkpoints.save(1, {"a": {"x": torch.ones(2)}}, {})
        modes = {path.stat().st_mode & 0o777 for path in step.iterdir()}
        checkpoints.finish({"x": torch.ones(2)}, {"steps": 1, "seconds": 1.0, "metrics": {}})
    finally:
        os.umask(old)
    modes |= {path.stat().st_mode & 0o777 for path in checkpoints.folder.iterdir()}
    assert modes == {0o640}


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    checkpoints = Checkpoints(tmp_path / "toy")
    checkpoints.save(1, {"a": {"x": torch.ones(2)}}, {})
    for name in (".draft-000002", ".old-000001", "broken-000001", ".draft-final"):
        (checkpoints.folder / name).symlink_to(tmp_path / "elsewhere")
    checkpoints.save(2, {"a": {"x": torch.ones(2)}}, {})
    checkpoints.finish({"x": torch.ones(2)}, {"steps": 2, "seconds": 1.0, "metrics": {}})
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert torch.equal(checkpoints.load_final()["x"], torch.ones(2))


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
