"""The energy of a training: its run's emissions.json, kept as it goes."""

import os
from dataclasses import replace
from pathlib import Path

from ..carbon.emissions import NAME, Emissions
from ..carbon.recorder import Place, Recorder
from ..errors import UsageError
from ..files import disk_errors
from ..training.events import Event, Note, OnEvent, Saved, Started
from ..training.pace import Pace

DAMAGED = f"damaged-{NAME}"


class Metering:
    """Listens to a training: meters from its first step on, writes at each checkpoint, and hands
    every event on. A run that goes on adds to what is there."""

    def __init__(self, run: Path, what: str, place: Place | None, tell: OnEvent) -> None:
        self.path, self.what, self.place, self.tell = run / NAME, what, place, tell
        self.recorder: Recorder | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started) and self.recorder is None:
            self.recorder = Recorder(self.path, self.what, self.place, self._before())
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
        """The record is complete; says so where its intensities are not."""
        if self.recorder:
            self.recorder.close()
            if self.recorder.problem:
                self.tell(Note(f"energy is recorded, its carbon is not: {self.recorder.problem}"))
