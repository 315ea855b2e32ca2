"""The energy of a training: its run's emissions.json, kept as it goes, and what a report on it
asks of the run."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..carbon.costs.energy import MOST_STEPS
from ..carbon.meter.emissions import NAME, Emissions
from ..carbon.meter.meter import HEAD_START_S, Meter
from ..carbon.meter.recorder import Account, Place, Recorder
from ..carbon.report.card import TYPES
from ..errors import UsageError
from ..files import disk_errors
from ..training.contents import read_record
from ..training.events import Event, Looked, Note, OnEvent, Saved, Started
from ..training.pace import Pace
from ..training.run import Run

DAMAGED = f"damaged-{NAME}"


class Metering:
    """Listens to a training: meters from its first step on, writes at each checkpoint, and hands
    every event on. A run that goes on adds to what is there. The meter starts with the first event,
    beside what is prepared."""

    def __init__(
        self,
        run: Path,
        what: str,
        place: Place | None,
        tell: OnEvent,
        account: Account | None = None,
    ) -> None:
        self.path, self.what, self.place, self.tell = run / NAME, what, place, tell
        self.account = account
        self.before: Emissions | None = None
        self.meter: Meter | None = None
        self.recorder: Recorder | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Looked):  # the run's folder is not this run's yet
            self.tell(event)
            return
        if self.meter is None:
            self.before = self._before()
            told = self.account or self.before
            self.meter = Meter(told.scope if told else "machine", patience=0)
        if isinstance(event, Started) and self.recorder is None:
            self.meter.wait(HEAD_START_S)
            self.recorder = Recorder(self.path, self.what, self.place, self.before,
                                     account=self.account, meter=self.meter)  # fmt: skip
        if isinstance(event, Saved) and self.recorder:
            self.recorder.mark()
            self.recorder.save()
        self.tell(event)

    def _before(self) -> Emissions | None:
        """What earlier sessions used. A record that cannot be read is not worth a training: it is
        put aside."""
        if not os.path.lexists(self.path):
            return None
        try:
            return Emissions.load(self.path)
        except UsageError as error:
            aside = self.path.with_name(DAMAGED)
            with disk_errors(aside):
                os.replace(self.path, aside)
            self.tell(Note(f"{error.message} It is kept as {aside.name}, and a new one is begun."))
        return None

    def paced(self, pace: Pace | None) -> Pace | None:
        """The same pace, with pauses told to the meter."""
        return pace and replace(pace, on_change=self._changed)

    def _changed(self, running: bool) -> None:
        if self.recorder:
            self.recorder.mark(running)
            self.recorder.save()

    def close(self) -> None:
        """The record is complete; says what it lacks."""
        if self.recorder:
            self.recorder.close()
            for note in self.recorder.notes:
                self.tell(Note(note))
        elif self.meter:
            self.meter.close()


def steps_of(path: Path) -> float | None:
    """Of all stages of the training whose folder it is, or whose record lies in it; None where
    no steps are told."""
    folder = path if os.path.isdir(path) else path.parent
    last: dict[str, int] = {}
    for row in Run(folder, {}).rows():
        stage, step = row.get("stage"), row.get("step")
        if isinstance(stage, str) and isinstance(step, int) and 0 < step < MOST_STEPS:
            last[stage] = max(step, last.get(stage, 0))
    return sum(last.values()) or None


def training_type(paths: Iterable[Path]) -> str | None:
    """Of a model card: whether the runs began from weights; None where they are not all runs of
    one kind."""
    try:
        kinds = {TYPES[bool(read_record(path).get("start"))] for path in paths}
    except UsageError:  # the record of some other command
        return None
    return kinds.pop() if len(kinds) == 1 else None
