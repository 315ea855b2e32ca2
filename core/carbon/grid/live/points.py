"""What a server answers, as times and values, and its check: no gap is ever filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import DlnError, UsageError
from ...values import MOST_G, iso
from .http import ServerFailed


@dataclass(frozen=True)
class Points:
    """The mean in g/kWh over [time, time + step) for each time, aware and in UTC."""

    step: timedelta
    values: Mapping[datetime, float]

    def covers(self, start: datetime, end: datetime) -> bool:
        return bool(self.values) and min(self.values) <= start and end <= self.end

    @property
    def end(self) -> datetime:
        return max(self.values) + self.step

    def array(self, title: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        """The values of [start, end), which are multiples of the step.

        Raises UsageError where the answer begins later or ends earlier, DlnError for no answer
        or a gap in it.
        """
        span = f"{iso(start)} to {iso(end)}"
        if not self.values:
            raise DlnError(f"{title} has no data for {span}")
        times = [start + i * self.step for i in range((end - start) // self.step)]
        if not self.covers(start, end):
            there = f"{iso(min(self.values))} to {iso(self.end)}"
            raise UsageError(f"{title} has data for {there}, not for all of {span}")
        missing = [time for time in times if time not in self.values]
        if missing:
            raise DlnError(
                f"{title} has a gap: {len(missing)} of {len(times)} values of {span} are missing, "
                f"the first at {iso(missing[0])}"
            )
        return np.array([self.values[time] for time in times])


def collect(title: str, rows: Iterable[tuple[datetime, Any]]) -> dict[datetime, float]:
    """The rows by their time, without those that have no value.

    Raises ServerFailed for a value that cannot be one, or two of them for one time.
    """
    values: dict[datetime, float] = {}
    for time, raw in rows:
        if raw is None:
            continue
        value = float(raw)
        if not 0 <= value <= MOST_G:
            raise ServerFailed(f"{title} sent an impossible value for {iso(time)}: {value:g}")
        if values.setdefault(time, value) != value:
            raise ServerFailed(f"{title} sent two values for {iso(time)}")
    return values
