"""What the hours of a year usually look like: a mean for each month and hour of the day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..values import HOUR, Label, Series, floor, iso

MONTHS, HOURS = 12, 24
RECENT = timedelta(days=28)  # of which there is a mean day


@dataclass(frozen=True)
class Profile:
    """Mean and deviation in g/kWh by month and UTC hour, (12, 24) each.

    It ranks hours; its level is that of the years it was made from.
    """

    zone: str
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    label: Label

    @classmethod
    def fit(cls, series: Series, zone: str) -> Profile:
        """The means of a series. UsageError where it misses a month or an hour."""
        cells = _cells(series.start, series.step, len(series.g_per_kwh))
        counts = np.bincount(cells, minlength=MONTHS * HOURS)
        if not counts.all():
            raise UsageError(f"a profile of {zone} needs data of every month and hour of a year")
        values = series.g_per_kwh
        mean = np.bincount(cells, values, MONTHS * HOURS) / counts
        square = np.bincount(cells, (values - mean[cells]) ** 2, MONTHS * HOURS) / counts
        label = replace(series.label, kind="typical")
        shape = MONTHS, HOURS
        return cls(zone, mean.reshape(shape), np.sqrt(square).reshape(shape), label)

    def series(self, start: datetime, end: datetime, step: timedelta = HOUR) -> Series:
        """What is typical for the steps of [start, end)."""
        first = floor(start, step)
        cells = _cells(first, step, max(1, ceil((end - first) / step)))
        return Series(first, step, self.mean.reshape(-1)[cells], self.label)


def _cells(start: datetime, step: timedelta, count: int) -> NDArray[np.int64]:
    """month * 24 + hour of every interval."""
    begin = np.datetime64(start.astimezone(UTC).replace(tzinfo=None), "us")
    times = begin + np.arange(count) * np.timedelta64(step)
    months = times.astype("datetime64[M]").astype(np.int64) % MONTHS
    hours = times.astype("datetime64[h]").astype(np.int64) % HOURS
    return months * HOURS + hours


def recent(series: Series, start: datetime, end: datetime) -> Series:
    """The mean day of RECENT before `start`, laid over [start, end).

    UsageError where the series does not hold those days, or its steps do not divide a day.
    """
    days = RECENT.days
    if series.start > start - RECENT or series.end < start:
        raise UsageError(
            f"the mean of {days} days needs data from {iso(start - RECENT)} "
            f"to {iso(start)}; there is {iso(series.start)} to {iso(series.end)}"
        )
    if timedelta(days=1) % series.step:
        raise UsageError(f"steps of {series.step} do not divide a day: there is no mean day")
    a_day = timedelta(days=1) // series.step
    last = series.index(start)
    day = series.g_per_kwh[last - days * a_day : last].reshape(days, a_day).mean(axis=0)
    first = series.time(last)
    count = max(1, ceil((end - first) / series.step))
    label = replace(series.label, kind="typical")
    return Series(first, series.step, np.resize(day, count), label)
