"""Metering a run while it goes, and keeping emissions.json beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ...errors import DlnError, UsageError
from ..costs.amounts import lasting
from ..grid.sources import IntensitySource
from ..places.regions import Region
from ..values import MOST_PUE, Scope, stated_grams, within
from .emissions import Emissions, Interval
from .meter import Energy, Meter

LONGEST = timedelta(minutes=5)  # of an interval; shorter ones are joined
WORTH_SAYING = 0.01  # of a run's time, which no meter read


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


@dataclass(frozen=True)
class Account:
    """What of the machine's energy is the run's, and what the user states of the electricity:
    g/kWh of a contract or of own generation, None for none."""

    scope: Scope = "machine"
    market_g_per_kwh: float | None = None

    def __post_init__(self) -> None:
        if self.market_g_per_kwh is not None:
            stated_grams(self.market_g_per_kwh)


class Recorder:
    """Reads the meter at every mark. emissions.json is written by save() and holds the intervals
    of `before`, an earlier part of the same run, too.

    place: None where nobody said; then energy alone is kept. submitted: when the run could have
    begun; default now. meter: one that is starting already.
    """

    def __init__(
        self,
        path: Path,
        what: str,
        place: Place | None,
        before: Emissions | None = None,
        submitted: datetime | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        account: Account | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.path, self.place, self._now = path, place, now
        account = account or Account(before.scope if before else "machine")
        self._refuse_moving(before, account)
        self.meter = meter or Meter(account.scope)
        self._read, self._last = self._look()
        self._told = self._read is not None
        self._why = self.meter.problem
        self._running = True
        self.problem: str | None = None
        self.record = before or Emissions(what, submitted or self._last, (), scope=account.scope)
        pue = place.pue if place else self.record.pue
        market = account.market_g_per_kwh
        market = self.record.market_g_per_kwh if market is None else market
        self.record = replace(self.record, pue=pue, market_g_per_kwh=market)

    def _refuse_moving(self, before: Emissions | None, account: Account) -> None:
        was, is_ = before and before.region, self.place and self.place.code
        if was and is_ and was != is_:
            raise UsageError(
                f"{self.path.parent} was metered in {was}, not in {is_}",
                f"--region {was}, or another --out",
            )
        if before and before.scope != account.scope:
            raise UsageError(
                f"{self.path.parent} was metered by {before.scope}, not by {account.scope}",
                f"--scope {before.scope}, or another --out",
            )

    def _look(self) -> tuple[Energy | None, datetime]:
        """What the meter says, and when it was so. A reading that was waited for in vain makes
        the run no longer."""
        asked, total = self._now(), self.meter.read()
        return total, self._now() - timedelta(seconds=self.meter.lag) if total else asked

    def mark(self, running: bool = True) -> None:
        """What was used since the last mark belongs to an interval; another begins."""
        (total, moment), before = self._look(), self._read
        if total is not None and not self._told:
            before, self._told = self._begin(total, moment), True
        self._add(moment, before and total and total - before)
        self._read, self._running, self._why = total, running, self.meter.problem

    def _begin(self, total: Energy, moment: datetime) -> Energy:
        """What to count from where no reading came before. The meter's zero, if that is after the
        last mark; the time until then is an interval without energy. A meter that counted by then,
        but had not told: what was before the mark, at the mean power since its zero."""
        ready = self._now() - timedelta(seconds=self.meter.age or 0.0)
        if ready < self._last < moment:
            return total * ((self._last - ready) / (moment - ready))
        self._add(ready, None)
        return Energy()

    def _add(self, end: datetime, used: Energy | None) -> None:
        """An interval from the last end to this one."""
        seconds = max(0.0, (end - self._last).total_seconds())
        parts = (used.cpu, used.gpu, used.ram) if used and used.told else (0.0, 0.0, 0.0)
        measured = any(parts)
        fresh = Interval(self._last, seconds, *parts, self._running, measured)
        kept, self._last = self.record.intervals, end
        if not (seconds or measured):
            return
        last = kept[-1] if kept else None
        if (
            last
            and last.end == fresh.start
            and (last.running, last.measured) == (fresh.running, fresh.measured)
        ):
            whole = last.joined(fresh)
            if whole.seconds <= LONGEST.total_seconds():
                kept, fresh = kept[:-1], whole
        self.record = replace(self.record, intervals=(*kept, fresh))

    def save(self) -> Emissions:
        """Write what there is so far. Where the source fails, energy alone, and `problem` says
        why: dln carbon report can join the intensities later."""
        read = any(interval.measured for interval in self.record.intervals)
        power = self.meter.power if read else {}  # what told nothing has measured nothing
        self.record = replace(self.record, power=power or self.record.power)
        if self.place:
            try:
                self.record = self.record.placed(self.place.region, self.place.source)
                self.problem = None
            except DlnError as error:
                self.record = replace(self.record, region=self.place.code, source=None,
                                      intensity=None)  # fmt: skip
                self.problem = error.message
        self.record.save(self.path)
        return self.record

    def forget(self) -> None:
        """Nothing ran: the file that was made for the record goes, an earlier record stays."""
        with suppress(OSError):
            if os.path.getsize(self.path) == 0:
                self.path.unlink()

    def close(self) -> Emissions:
        """The last interval ends here."""
        self.mark()
        self.meter.close()
        return self.save()

    @property
    def notes(self) -> list[str]:
        """What a person should know of the record: energy that was not measured, or not all of it,
        and carbon that is not known."""
        found, record = [], self.record
        lost, whole = record.not_measured_seconds, record.reserved_seconds
        missed = f"{lasting(lost)} of {lasting(whole)}"
        if record.kwh is None:
            why = f"no meter for {missed}" if lost < whole else self._why
            found.append(f"the energy was not measured: {why}")
        elif lost > WORTH_SAYING * whole:
            found.append(f"{missed} were not measured; they count at the mean power of the rest")
        if self.problem:
            found.append(f"energy is recorded, its carbon is not: {self.problem}")
        return found
