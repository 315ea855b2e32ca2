"""What a training tells, told to trackers too: TensorBoard, Weights & Biases, Trackio.

Through accelerate's trackers, on the main process alone. Nothing leaves the machine unless its user
has said so to the tracker itself: W&B writes offline where WANDB_MODE is not set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import MissingCapability, UsageError, closest, reason_of
from ..files import atomic_write, make_folder
from ..installed import install_line
from ..training.contents import TRACKED, read_record
from ..training.events import Evaluated, Event, Looked, Note, OnEvent, Planned, Started, Stepped

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

TRACKERS = ("tensorboard", "wandb", "trackio")  # as their packages are called, and their extras
PROJECT = "dln"
OFFLINE = "wandb sends nothing: WANDB_MODE=online sends as it goes, and afterwards wandb sync"


def check_trackers(names: Sequence[str]) -> None:
    """UsageError for one that is unknown, MissingCapability for one that is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"no tracker '{name}'.{closest(name, TRACKERS)}", f"one of {', '.join(TRACKERS)}"
            )
        if find_spec(name) is None:
            raise MissingCapability(f"{name} is not installed", install_line(name))


class Tracking:
    """Listens to a training in `run` and hands every event on. A step counts from the begin of the
    first stage. What goes wrong with a tracker does not cost the run: it is noted, and that one
    hears no more."""

    def __init__(self, run: Path, model: str, names: Sequence[str], tell: OnEvent) -> None:
        self.run, self.model, self.names, self.tell = run, model, names, tell
        self.trackers: dict[str, GeneralTracker] = {}
        self.firsts: dict[str, int] = {}
        self.opened = False

    def __call__(self, event: Event) -> None:
        self.tell(event)
        match event:
            case Looked():  # the run's folder is not this run's yet
                pass
            case Planned():
                steps = 0
                for share in event.stages:
                    self.firsts[share.stage], steps = steps, steps + share.steps
            case Started() if not self.opened:
                self.opened = True
                self.open(self.place(event.stage, event.step))
            case Stepped():
                told = {"loss": event.loss, **event.stats, "samples_per_s": event.rate}
                self.log(event.stage, event.step, told)
            case Evaluated():
                self.log(event.stage, event.step, event.metrics, "measured_")
                if event.sheet:
                    self.picture(event.stage, event.step, event.sheet)

    def place(self, stage: str, step: int) -> int:
        return self.firsts.get(stage, 0) + step

    def open(self, step: int) -> None:
        """step: that the run goes on after."""
        folder = make_folder(self.run / TRACKED)
        same = identity(folder)
        for name in dict.fromkeys(self.names):
            self.guarded(name, partial(self._open, name, folder, same, step))

    def _open(self, name: str, folder: Path, same: str, step: int) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        called, more = chosen(name, self.run, folder, same, step)
        if name != "tensorboard":
            more |= {"config": {"model": self.model, **read_record(self.run)}}
        tracker = LOGGER_TYPE_TO_CLASS[name](called, **more)
        if hasattr(tracker, "start"):  # older ones have begun by then
            tracker.start()
        self.trackers[name] = tracker
        if more.get("mode") == "offline":
            self.tell(Note(f"{OFFLINE} {folder / 'wandb'}/offline-*"))

    def log(self, stage: str, step: int, values: dict[str, float], kind: str = "") -> None:
        told = {f"{stage}/{kind}{name}": value for name, value in values.items() if isfinite(value)}
        place = self.place(stage, step)
        for name, tracker in [*self.trackers.items()]:
            self.guarded(name, partial(tracker.log, told, step=place))

    def picture(self, stage: str, step: int, sheet: Path) -> None:
        """The sheet, for the trackers that take pictures."""
        from numpy import asarray
        from PIL import Image

        with Image.open(sheet) as opened:
            told = {f"{stage}/sheet": asarray(opened.convert("RGB"))[None]}
        place = self.place(stage, step)
        for name, tracker in [*self.trackers.items()]:
            takes: Callable[..., None] | None = getattr(tracker, "log_images", None)
            more = {"dataformats": "NHWC"} if name == "tensorboard" else {}
            if takes:
                self.guarded(name, partial(takes, told, step=place, **more))

    def guarded(self, name: str, call: Callable[[], None]) -> None:
        """What a tracker prints is no result; what it raises is a note."""
        try:
            with redirect_stdout(sys.stderr):
                call()
        except Exception as error:
            self.trackers.pop(name, None)
            self.tell(Note(f"{name} hears no more of the training: {reason_of(error)}"))

    def close(self) -> None:
        """The trackers end; the training may have failed."""
        for name, tracker in [*self.trackers.items()]:
            # trackio's run would end once more, aloud, with the process
            end = import_module(name).finish if name == "trackio" else tracker.finish
            self.guarded(name, end)


def identity(folder: Path) -> str:
    """What the trackers know the run by; the same when it goes on."""
    path = folder / "identity"
    if not os.path.isfile(path):
        with atomic_write(path, "w") as file:
            file.write(uuid4().hex)
    return path.read_text(encoding="ascii").strip()


def chosen(name: str, run: Path, folder: Path, same: str, step: int) -> tuple[str, dict[str, Any]]:
    """What accelerate's tracker calls the run, or its project, and what else it is told."""
    if name == "tensorboard":  # what a kill has left of later steps is not shown
        return name, {"logging_dir": str(folder), "purge_step": step + 1 if step else None}
    if name == "trackio":
        return PROJECT, {"name": f"{run.name}-{same[:8]}", "resume": "allow"}
    offline = {} if os.environ.get("WANDB_MODE") else {"mode": "offline"}
    quiet = {"silent": True, "console": "off"}
    return PROJECT, {"name": run.name, "id": same, "resume": "allow", "dir": str(folder),
                     "settings": quiet, **offline}  # fmt: skip
