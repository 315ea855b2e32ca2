"""Metering a run while it goes, and keeping emissions.json beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import DlnError, UsageError
from .emissions import Emissions, Interval
from .meter import Energy, Meter
from .regions import Region
from .sources import IntensitySource
from .values import MOST_PUE, within

LONGEST = timedelta(minutes=5)  # of an interval; shorter ones are joined


@dataclass(frozen=True)
class Place:
    """Where a run takes place, whose intensities count there, and how good the building is.

    region: None where a file gives the intensities and nobody said.
    """

    region: Region | None
    source: IntensitySource
    pue: float = 1.0

    def __post_init__(self) -> None:
        within(self.pue, "PUE", MOST_PUE, least=1)

    @property
    def code(self) -> str | None:
        return self.region and self.region.code

    def check(self, moment: datetime) -> None:
        """UsageError now, not after hours, where the source does not know the time."""
        self.source.series(moment, moment + timedelta(seconds=1))


class Recorder:
    """Reads the meter at every mark. emissions.json is written by save() and holds the intervals
    of `before`, an earlier part of the same run, too.

    place: None where nobody said; then energy alone is kept. submitted: when the run could have
    begun; default now.
    """

    def __init__(
        self,
        path: Path,
        what: str,
        place: Place | None,
        before: Emissions | None = None,
        submitted: datetime | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path, self.place, self._now = path, place, now
        self._refuse_moving(before)
        self.meter = Meter()
        self._last, self._read, self._running = now(), Energy(), True
        self.problem: str | None = None
        self.record = before or Emissions(what, submitted or self._last, ())
        pue = place.pue if place else self.record.pue
        self.record = replace(self.record, power=self.meter.power, pue=pue)

    def _refuse_moving(self, before: Emissions | None) -> None:
        was, is_ = before and before.region, self.place and self.place.code
        if was and is_ and was != is_:
            raise UsageError(
                f"{self.path.parent} was metered in {was}, not in {is_}",
                f"--region {was}, or another --out",
            )

    def mark(self, running: bool = True) -> None:
        """What was used since the last mark belongs to an interval; another begins."""
        moment, total = self._now(), self.meter.read()
        used = total - self._read
        seconds = max(0.0, (moment - self._last).total_seconds())
        self._add(Interval(self._last, seconds, used.cpu, used.gpu, used.ram, self._running))
        self._last, self._read, self._running = moment, total, running

    def _add(self, interval: Interval) -> None:
        kept = self.record.intervals
        last = kept[-1] if kept else None
        if last and last.running == interval.running and last.end == interval.start:
            whole = last.joined(interval)
            if whole.seconds <= LONGEST.total_seconds():
                kept, interval = kept[:-1], whole
        self.record = replace(self.record, intervals=(*kept, interval))

    def save(self) -> Emissions:
        """Write what there is so far. Where the source fails, energy alone, and `problem` says
        why: dln carbon report can join the intensities later."""
        if self.place:
            try:
                self.record = self.record.placed(self.place.region, self.place.source)
                self.problem = None
            except DlnError as error:
                self.record = replace(self.record, region=self.place.code, intensity=None)
                self.problem = error.message
        self.record.save(self.path)
        return self.record

    def close(self) -> Emissions:
        """The last interval ends here."""
        self.mark()
        self.meter.close()
        return self.save()
