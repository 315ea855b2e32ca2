"""The energy of a training: its run's emissions.json, kept as it goes."""

import os
from dataclasses import replace
from pathlib import Path

from ..carbon.meter.emissions import NAME, Emissions
from ..carbon.meter.meter import HEAD_START_S, Meter
from ..carbon.meter.recorder import Account, Place, Recorder
from ..errors import UsageError
from ..files import disk_errors
from ..training.events import Event, Looked, Note, OnEvent, Saved, Started
from ..training.pace import Pace

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
