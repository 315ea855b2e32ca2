"""When a run may go: whatever says so, and the limit on the grid's intensity that does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from typing import Protocol

import numpy as np

from ...errors import DlnError, UsageError
from ..grid.sources import FromFile, IntensitySource, LiveSource
from ..values import MOST_G, Series, iso, within

# A source that fails is left alone so long, twice as long each time, up to so long.
RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(minutes=30)
_YEAR = timedelta(days=366)


class Schedule(Protocol):
    """Says whether a run may go on; a plan is one."""

    def running(self, moment: datetime) -> bool: ...


@dataclass
class Threshold:
    """Runs while the grid is at or below `limit` g/kWh, and from `deadline` on whatever it is.

    intensity: g/kWh of a moment. Where it fails (a service that is down), the run goes on, and
    on_problem is told why, once until it answers again.
    """

    limit: float
    intensity: Callable[[datetime], float]
    deadline: datetime | None = None
    on_problem: Callable[[str], None] = lambda why: None
    _again: datetime | None = field(default=None, init=False)  # when a failing source is asked
    _pause: timedelta = field(default=RETRY, init=False)

    def __post_init__(self) -> None:
        within(self.limit, "--pause-above", MOST_G)

    def running(self, moment: datetime) -> bool:
        """Whether the run may go at `moment`."""
        if self.deadline is not None and moment >= self.deadline:
            return True
        if self._again is not None and moment < self._again:
            return True
        try:
            found = self.intensity(moment)
        except DlnError as error:
            return self._failed(moment, str(error))
        if not isfinite(found):
            return self._failed(moment, f"there is no figure for {iso(moment)}")
        self._again, self._pause = None, RETRY
        return found <= self.limit

    def _failed(self, moment: datetime, why: str) -> bool:
        if self._again is None:
            self.on_problem(f"the grid's intensity is not known, the run goes on: {why}")
        self._again = moment + self._pause
        self._pause = min(2 * self._pause, LONGEST_RETRY)
        return True


def check_reachable(limit: float, source: IntensitySource, moment: datetime) -> None:
    """UsageError where waiting for `limit` g/kWh makes no sense without a deadline: the source has
    one figure for every hour from `moment` on, or is above the limit in all of them. What a
    service will say nobody knows."""
    ahead = _ahead(source, moment)
    values = ahead.g_per_kwh[np.isfinite(ahead.g_per_kwh)] if ahead else np.empty(0)
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    if low == high:
        what = f"has one figure for every hour, {low:.4g} g/kWh: there are no cleaner ones"
        hint = "a --source that knows the hours: csv:FILE, gb, electricity-maps"
    elif low > limit:
        what = f"is never at {limit:g} g/kWh or below from now on: the least is {low:.4g}"
        hint = "a higher --pause-above"
    else:
        return
    raise UsageError(
        f"--pause-above {limit:g} could wait for ever: the source '{source.name}' {what}.",
        f"--deadline TIME, or {hint}",
    )


def _ahead(source: IntensitySource, moment: datetime) -> Series | None:
    """What it knows from a moment on: a file to its end, a service nothing yet, any other a year,
    after which it repeats itself."""
    if isinstance(source, LiveSource):
        return None
    if isinstance(source, FromFile):
        return source.data.between(moment, source.data.end)
    return source.series(moment, moment + _YEAR)
