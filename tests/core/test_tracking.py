"""Trackers hear of a training what its stats.jsonl says: a stand-in for W&B, and TensorBoard."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dln.core.errors import MissingCapability, UsageError
from dln.core.runs import tracking
from dln.core.runs.tracking import Tracking, check_trackers
from dln.core.runs.train import train
from dln.core.training.events import (
    Evaluated,
    Event,
    Note,
    Planned,
    Share,
    Started,
    Stepped,
    silent,
)
from dln.core.training.options import TrainOptions
from dln.core.training.run import Run

from .toy_systems import Colours

WANDB = '''
"""Notes what it is told."""
calls, broken = [], []

class Run:
    def log(self, values, step=None):
        if broken:
            raise OSError("no room")
        calls.append(("log", values, step))
    def finish(self):
        print("goodbye")
        calls.append(("finish",))

def init(**given):
    print("hello")
    calls.append(("init", given))
    return Run()

def Image(pixels):
    return ("image", pixels.shape)
'''


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of that name."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    import wandb  # pyright: ignore[reportMissingImports]

    yield wandb
    sys.modules.pop("wandb", None)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    monkeypatch.setattr("dln.core.data.open_source", lambda *asked, **more: Colours())
    return TrainOptions(steps=45, batch=4, out=tmp_path / "run", device="cpu", track=("wandb",))


def test_a_training_as_its_stats_tell_it(options, wandb, capsys):
    heard: list[Event] = []
    train("toy-gan", options, heard.append)
    kind, given = wandb.calls[0]
    assert (kind, given["project"], given["mode"]) == ("init", "dln", "offline")
    assert given["config"]["model"] == "toy-gan"
    assert given["config"]["options"]["steps"] == 45
    assert "track" not in given["config"]["options"]
    rows = [row for row in Run(Path(str(options.out)), {}).rows() if "loss" in row]
    told = [call for call in wandb.calls if call[0] == "log"]
    assert [step for _, _, step in told][:3] == [20, 40, 45] == [row["step"] for row in rows]
    for row, (_, values, _) in zip(rows, told, strict=False):
        [stage] = {name.partition("/")[0] for name in values}
        assert values[f"{stage}/loss"] == pytest.approx(row["loss"])
        assert {name.partition("/")[2] for name in values} == {
            name for name in row if name not in ("stage", "step", "lr", "seconds")
        }
    assert wandb.calls[-1] == ("finish",)
    assert any("sends nothing" in event.text for event in heard if isinstance(event, Note))
    assert capsys.readouterr().out == ""


def test_who_wants_it_sent_says_so(options, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    heard: list[Event] = []
    train("toy-gan", replace(options, steps=2), heard.append)
    assert "mode" not in wandb.calls[0][1]
    assert not any("wandb" in event.text for event in heard if isinstance(event, Note))


def test_a_run_that_goes_on_is_the_same_run(options, wandb):
    for more in ({"steps": 2}, {"resume": True, "steps": 2}, {"force": True, "steps": 2}):
        train("toy-gan", replace(options, **more), silent)
    given = [call[1] for call in wandb.calls if call[0] == "init"]
    assert {each["resume"] for each in given} == {"allow"}
    # a finished run begins no stage; over again it is another
    first, last = (each["id"] for each in given)
    assert first != last
    folder = Path(str(options.out)) / "tracking"
    assert (folder / "identity").read_text() == last


def test_what_goes_wrong_does_not_cost_the_run(options, wandb):
    wandb.broken.append(True)
    heard: list[Event] = []
    run = train("toy-gan", options, heard.append)
    assert (run / "model.safetensors").exists()
    notes = [event.text for event in heard if isinstance(event, Note) and "hears" in event.text]
    assert notes == ["wandb hears no more of the training: no room"]


def test_steps_go_on_over_the_stages_and_sheets_are_pictures(tmp_path, wandb):
    sheet = tmp_path / "sheet.png"
    Image.fromarray(np.zeros((6, 10, 3), np.uint8)).save(sheet)
    run = Run.create(tmp_path / "run", {"model": "toy", "options": {}, "overrides": {},
                                        "config": {}, "data": {}, "start": {}})  # fmt: skip
    tell = Tracking(run.path, "toy", ("wandb", "wandb"), silent)
    plan = Planned((Share("first", 100, 100, 1.0), Share("second", 50, 10, 1.0)))
    events = (plan, Started("second", 10, 50, 1, 1), Stepped("second", 20, 50, 0.5, {"norm": 2.0}),
              Evaluated("second", 50, {"psnr": 21.0, "nothing": float("nan")}, sheet),
              Started("third", 0, 5, 1, 1))  # fmt: skip
    for event in events:
        tell(event)
    tell.close()
    assert [call[0] for call in wandb.calls] == ["init", "log", "log", "log", "finish"]
    _, *logs, _ = wandb.calls
    assert logs == [
        ("log", {"second/loss": 0.5, "second/norm": 2.0, "second/samples_per_s": 0.0}, 120),
        ("log", {"second/measured_psnr": 21.0}, 150),
        ("log", {"second/sheet": [("image", (6, 10, 3))]}, 150),
    ]


def test_names(monkeypatch):
    with pytest.raises(UsageError, match=r"no tracker 'wand'\. Did you mean 'wandb'"):
        check_trackers(("wand",))
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(MissingCapability, match="trackio is not installed") as missing:
        check_trackers(("trackio",))
    assert "[trackio]" in (missing.value.hint or "")
    assert missing.value.exit_code == 3


def test_tensorboard_reads_it(options):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (  # pyright: ignore
        EventAccumulator,
    )

    run = train("toy-gan", replace(options, track=("tensorboard",), evaluate_every=20), silent)
    found = EventAccumulator(str(run / "tracking" / "tensorboard"))
    found.Reload()
    rows = Run(run, {}).rows()
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    [name] = [tag for tag in found.Tags()["scalars"] if tag.endswith("/loss")]
    told = [(event.step, event.value) for event in found.Scalars(name)]
    assert [step for step, _ in told] == [step for step, _ in losses]
    assert [loss for _, loss in told] == pytest.approx([loss for _, loss in losses], rel=1e-6)
    sheets = [row["step"] for row in rows if "sheet" in row]
    for tag in found.Tags()["images"]:
        assert [event.step for event in found.Images(tag)] == sheets


def test_a_record_can_be_told(options, wandb):
    """W&B's table takes what JSON takes."""
    train("toy-gan", replace(options, steps=2), silent)
    json.dumps(wandb.calls[0][1]["config"])
