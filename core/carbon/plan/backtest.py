"""What a planner without foresight really saves: scored on a year that it has not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np

from ...errors import UsageError, short
from ..places.embedded import Skill
from ..places.profiles import RECENT, Profile, recent
from ..values import HOUR, YEARS, Mode, Planner, Series, iso
from .steps import Array, Blocks, flexible_start, mean_of, pause_and_resume, savings

Guess = Callable[[datetime, datetime], Series]
EVERY = 7  # steps between two starts: all hours of the day and days of the week come up
_SEASON = timedelta(days=91)
_MOST_WORK = 200_000_000  # steps of all windows: some seconds
_FEW = 10  # runs; the mean of fewer says nothing
MOVED = 5.0  # percentage points between expected and realised that deserve a warning


@dataclass(frozen=True)
class Backtest:
    """Mean savings in percent over the starts, against starting at once.

    fitted: of the fitted years, each planned by the others. expected: what could be told at each
    start, the mean of the planner's runs that had ended in the four weeks before, the fitted
    figure where there were none. realised: what came. oracle: with the future known.
    """

    planner: Planner
    mode: Mode
    fitted: float
    expected: float
    realised: float
    oracle: float
    starts: int

    @property
    def skill(self) -> float:
        """The share of the oracle's saving that the planner gets."""
        return self.realised / self.oracle if self.oracle else 0.0

    @property
    def warning(self) -> str | None:
        if abs(self.fitted - self.realised) < MOVED:
            return None
        return (
            f"the grid's hours have moved: {self.fitted:.1f} % in the fitted years, "
            f"{self.realised:.1f} % in the one that was scored"
        )


def backtest(
    series: Series,
    fit: Sequence[int],
    score: int,
    duration: timedelta,
    slack: timedelta,
    mode: Mode,
    planner: Planner,
) -> Backtest:
    """Score a planner. UsageError where the data lacks a year, or one is both fitted and scored."""
    if score in fit or not fit:
        raise UsageError(
            "a planner is scored on a year that it has not seen", "--fit 2021 --fit 2022"
        )
    if planner == "typical" and len(fit) < 2:
        raise UsageError("what to expect is found by fitting one year and scoring another",
                         "--fit takes two years or more")  # fmt: skip
    length, room = round(duration / series.step), round(slack / series.step)
    best = _oracle(_year(series, score), length, room, mode)

    def scored(year: int, known: Sequence[int]) -> Array:
        told = _year(series, year).between(series.start + RECENT, series.end)
        return _scored(told, _guess(series, known, planner), length, room, mode)[1]

    seen = [scored(year, [y for y in fit if y != year]) for year in fit]
    unseen = scored(score, fit)
    fitted = float(np.concatenate(seen).mean())
    return Backtest(
        planner,
        mode,
        fitted,
        _expected(unseen, fitted, RECENT // series.step // EVERY, -(-(length + room) // EVERY)),
        float(unseen.mean()),
        float(best.mean()),
        len(unseen),
    )


def _oracle(truth: Series, length: int, room: int, mode: Mode) -> Array:
    """The savings of a year with the future known. UsageError where they would take too long."""
    if _work(truth, length, room) > _MOST_WORK:
        raise UsageError(
            f"{len(truth.g_per_kwh):,} steps, and {length + room:,} for each start, are too many",
            "a shorter --duration and --slack, or data in whole hours",
        )
    return savings(truth.g_per_kwh, length, room, mode)


def _work(truth: Series, length: int, room: int) -> int:
    """The steps of the windows of all starts."""
    return max(0, len(truth.g_per_kwh) - length - room) * (length + room)


def _year(series: Series, year: int) -> Series:
    if year not in YEARS:
        raise UsageError(f"{short(str(year))} is no year from {YEARS[0]} to {YEARS[-1]}")
    start, end = (datetime(y, 1, 1, tzinfo=UTC) for y in (year, year + 1))
    if start < series.start or end > series.end:
        raise UsageError(
            f"the data does not hold all of {year}: it goes from {iso(series.start)} "
            f"to {iso(series.end)}"
        )
    return series.between(start, end)


def _guess(series: Series, years: Sequence[int], planner: Planner) -> Guess:
    """What the planner takes the hours of a span for, knowing `years` or the weeks before."""
    if planner == "recent28":
        return lambda start, end: recent(series, start, end)
    parts = [Profile.fit(_year(series, year), "") for year in years]
    mean = np.mean([part.mean for part in parts], axis=0)
    profile = Profile("", mean, parts[0].std, parts[0].label)
    return lambda start, end: profile.series(start, end, series.step)


def _scored(
    truth: Series, guess: Guess, duration: int, slack: int, mode: Mode, every: int = EVERY
) -> tuple[Array, Array]:
    """The saving of every start, planned on the guess: as promised, and as paid by what came."""
    plan = flexible_start if mode == "start" else pause_and_resume
    found = []
    for first in range(0, len(truth.g_per_kwh) - duration - slack + 1, every):
        start = truth.time(first)
        taken = guess(start, truth.time(first + duration + slack)).g_per_kwh
        real = truth.g_per_kwh[first : first + duration + slack]
        blocks = plan(taken, duration, slack)
        found.append([_saving(values, blocks, duration) for values in (taken, real)])
    promised, paid = np.array(found).reshape(-1, 2).T
    return promised, paid


def _saving(values: Array, blocks: Blocks, duration: int) -> float:
    now = float(values[:duration].mean())
    return 100 * (1 - mean_of(values, blocks) / now) if now else 0.0


def skill_so_far(
    data: Series, before: datetime, duration: timedelta, slack: timedelta, mode: Mode
) -> Skill | None:
    """Of the mean day of 28 days, over the runs of the data's last three months before a moment;
    None where there are not ten, or the data has holes in them."""
    truth = data.between(max(data.start + RECENT, before - _SEASON), before)
    length, room = ceil(duration / data.step), slack // data.step
    known = data.between(truth.start - RECENT, before).g_per_kwh
    if not np.isfinite(known).all():  # a file with holes there
        return None
    if len(truth.g_per_kwh) < length + room or _work(truth, length, room) > _MOST_WORK:
        return None
    every = max(1, round(EVERY * HOUR / data.step))
    promised, paid = _scored(
        truth, lambda start, end: recent(data, start, end), length, room, mode, every
    )
    if len(paid) < _FEW:
        return None
    best = savings(truth.g_per_kwh, length, room, mode)[::every]
    return Skill(float(promised.mean()), float(paid.mean()), float(best.mean()))


def _expected(found: Array, before: float, window: int, lag: int) -> float:
    """The mean over the starts of the mean of the `window` runs before it that had ended, which
    the last `lag` had not; `before` where there are none."""
    told = [
        found[max(0, i - lag - window) : i - lag + 1].mean() if i >= lag else before
        for i in range(len(found))
    ]
    return float(np.mean(told))
