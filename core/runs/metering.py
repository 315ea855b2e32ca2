"""The energy of a training: its run's emissions.json, kept as it goes."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..carbon.emissions import NAME, Emissions
from ..carbon.recorder import Place, Recorder
from ..errors import UsageError
from ..training.events import Event, Note, OnEvent, Saved, Started
from ..training.pace import Pace


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
        """What earlier sessions used; a record that cannot be read is not worth a training."""
        with suppress(UsageError):
            return Emissions.load(self.path)
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
