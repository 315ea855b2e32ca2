"""What a carbon figure is made of: a range of numbers, a series in time, and what they mean.

Units are in the names: g_per_kwh is grams of CO2-equivalent for each kWh of electricity, kwh is
energy, kg and g are masses of CO2-equivalent. Times are aware datetimes in UTC. An estimate does
without numpy, so only what computes with series imports it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UsageError, short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Signal = Literal["average", "marginal"]
Factors = Literal["life-cycle", "direct", "unknown"]
# What no figure that is meant reaches: sums and products of them stay numbers, times stay dates.
MOST_G = 1e6  # g/kWh
MOST_KWH = 1e15  # the world makes 3e13 a year
MOST_PUE = 100.0
LEAST_UNITS, MOST_UNITS = 1e-9, 1e15  # of what a run is counted in
YEARS = range(1970, 2200)
NONE = "none"  # how the energy of a part came to be that no meter reads; a reason may follow
Planner = Literal["typical", "recent28"]  # months and hours of years, or the last days' mean
HOUR = timedelta(hours=1)
KG = 1e-3  # kg in a gram
LB_PER_MWH = 0.45359237  # g/kWh; the international pound is 453.59237 g
Mode = Literal["start", "pause"]  # of a plan: one block at its best start, or several
Scope = Literal["machine", "process"]  # of a meter: all that draws power, or a run's processes
Kind = Literal["measured", "estimated", "assumed", "forecast", "typical", "published"]


@dataclass(frozen=True)
class Label:
    """What a number means; travels with it into every table, plan and report.

    signal: average (attributional) or marginal (consequential) intensity. factors: whether fuel's
    supply and plants count (life-cycle) or the chimney only (direct). year: of the data, "2022"
    or "2021-2022". origin: who says so. kind: how it came to be; "typical" is a mean of past
    hours, "published" a figure out of a statistic or a paper.
    """

    signal: Signal
    factors: Factors
    year: str
    origin: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.signal}, {self.factors} factors, {self.year}, {self.origin} ({self.kind})"

    def to_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Spread:
    """A number as it must always be given: low, expected, high, in one unit."""

    low: float
    expected: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Spread:
        return cls(value, value, value)

    def __mul__(self, other: Spread | float) -> Spread:
        """The product of two non-negative quantities, end by end."""
        by = other if isinstance(other, Spread) else Spread.exact(other)
        return Spread(self.low * by.low, self.expected * by.expected, self.high * by.high)

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def map(self, function: Callable[[float], float]) -> Spread:
        return Spread(function(self.low), function(self.expected), function(self.high))

    @classmethod
    def from_json(cls, table: Mapping[str, Any], name: str) -> Spread:
        """Of what to_json wrote into a table."""
        return cls(table[f"{name}_low"], table[name], table[f"{name}_high"])

    def to_json(self, name: str) -> dict[str, float]:
        """{name: expected, name_low: ..., name_high: ...}, the keys that scripts rely on."""
        return {name: self.expected, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Intensity:
    """Grams of CO2e for each kWh over a year or a moment, with what that means."""

    g_per_kwh: Spread
    label: Label


@dataclass(frozen=True)
class Series:
    """Intensity in time: value i is the MEAN over [start + i step, start + (i + 1) step)."""

    start: datetime
    step: timedelta
    g_per_kwh: NDArray[np.float64]
    label: Label

    @property
    def end(self) -> datetime:
        return self.start + len(self.g_per_kwh) * self.step

    def index(self, moment: datetime) -> int:
        """The interval that holds `moment`; may lie outside the series."""
        return (moment - self.start) // self.step

    def time(self, index: int) -> datetime:
        return self.start + index * self.step

    def at(self, moment: datetime) -> float:
        """The value of the interval that holds `moment`. IndexError outside the series."""
        place = self.index(moment)
        if not 0 <= place < len(self.g_per_kwh):
            raise IndexError(f"{iso(moment)} is not within {iso(self.start)} to {iso(self.end)}")
        return float(self.g_per_kwh[place])

    def mean(self, start: datetime, end: datetime) -> float:
        """The mean over [start, end), weighted by time; beyond the series its nearest value."""
        import numpy as np

        top, within = len(self.g_per_kwh) - 1, self.index(start)
        if end <= self.time(within + 1):
            return float(self.g_per_kwh[min(max(within, 0), top)])
        first, last = (start - self.start) / self.step, (end - self.start) / self.step
        low = min(max(within, 0), top)
        places = np.arange(low, min(max(math.ceil(last), low + 1), top + 1))
        # What lies beyond the series belongs to its first and its last interval.
        begins, ends = places.astype(np.float64), places + 1.0
        begins[0], ends[-1] = first, last
        shares = ends - begins
        return float(self.g_per_kwh[places] @ shares / shares.sum())

    def between(self, start: datetime, end: datetime) -> Series:
        """The intervals that touch [start, end), as far as there are any."""
        first = max(0, self.index(start))
        last = min(len(self.g_per_kwh), math.ceil((end - self.start) / self.step))
        values = self.g_per_kwh[first : max(first, last)]
        return Series(self.time(first), self.step, values, self.label)

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label.to_json(),
            "start": iso(self.start),
            "step_seconds": self.step.total_seconds(),
            "g_per_kwh": self.g_per_kwh.tolist(),
        }


def parse_time(text: str) -> datetime:
    """An ISO 8601 time in UTC, which it is where it names no zone. ValueError for anything else,
    and for a year that is none of YEARS."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{short(text)!r} is not a time") from None
    if found.year in YEARS:
        moment = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if moment.year in YEARS:
            return moment
    raise ValueError(f"{short(text)!r} is not within the years {YEARS[0]} to {YEARS[-1]}")


def within(value: float, name: str, most: float, least: float = 0.0) -> float:
    """The value. UsageError where it is not above 0, at least `least` and at most `most`."""
    if not max(least, 0.0) <= value <= most or value <= 0:
        floor = f"at least {least:g}" if least else "above 0"
        given = f", not {value:g}" if isinstance(value, float) or abs(value) < most else ""
        raise UsageError(f"{name} is {floor} and at most {most:,.16g}{given}.")
    return value


def stated_grams(value: float) -> float:
    """Of --intensity. 0 is allowed: own generation, or certificates for every kWh. UsageError."""
    if not 0 <= value <= MOST_G:
        raise UsageError(
            f"--intensity is at least 0 and at most {MOST_G:,.0f} g/kWh, not {value:g}."
        )
    return value


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last whole step since midnight, in UTC, at or before `moment`."""
    moment = moment.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // step * step


def ceil(moment: datetime, step: timedelta) -> datetime:
    """The first whole step since midnight, in UTC, at or after `moment`."""
    down = floor(moment, step)
    return down if down == moment else down + step


def is_metered(how: str) -> bool:
    """Of a part's energy, as a record's `power` tells how it came to be: whether any was read."""
    return not how.startswith(NONE)


def iso(moment: datetime) -> str:
    """2022-01-31T06:00Z, with seconds where there are any."""
    text = moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    return f"{text.removesuffix(':00')}Z"
