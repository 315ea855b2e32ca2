"""A planner's expected saving is what it saves in a year that it has not seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.dialects import Reading
from dln.core.carbon.grid.series import read_csv
from dln.core.carbon.places.embedded import skill
from dln.core.carbon.places.regions import find
from dln.core.carbon.plan.backtest import backtest, skill_so_far
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "carbon-data"
HOURLY = SHARED / "ci_hourly_2022_25zones.csv.gz"
YEARS = SHARED / "em_download_NO_ES_BR_CISO_2021_2023.csv.gz"
HOUR = timedelta(hours=1)


def three_years(moved: bool) -> Series:
    """Clean for eight hours a day; in 2023 those come twelve hours later where `moved`."""
    start = datetime(2021, 1, 1, tzinfo=UTC)
    hours = np.arange((datetime(2024, 1, 1, tzinfo=UTC) - start) // HOUR)
    late = hours >= (datetime(2023, 1, 1, tzinfo=UTC) - start) // HOUR
    shift = np.where(late & moved, 12, 0)
    values = np.where((hours + shift) % 24 < 8, 100.0, 300.0)
    return Series(start, HOUR, values, Label("average", "direct", "2021-2023", "test", "measured"))


@pytest.mark.parametrize("mode", ["start", "pause"])
def test_a_steady_grid_gives_what_was_expected(mode):
    found = backtest(three_years(False), [2021, 2022], 2023, 8 * HOUR, 24 * HOUR, mode, "typical")
    assert found.expected == pytest.approx(found.realised, abs=0.3)
    assert found.realised == pytest.approx(found.oracle, abs=0.3)
    assert found.warning is None


def test_moved_hours_are_warned_of():
    moved = three_years(True)
    found = backtest(moved, [2021, 2022], 2023, 8 * HOUR, 24 * HOUR, "start", "typical")
    assert found.realised < 0 < found.fitted
    assert found.expected == pytest.approx(found.realised, abs=10)
    assert "have moved" in (found.warning or "")
    fresh = backtest(moved, [2021, 2022], 2023, 8 * HOUR, 24 * HOUR, "start", "recent28")
    assert fresh.realised > found.realised + 20


def test_what_cannot_be_scored():
    grid = three_years(False)
    for fit, score in (([2021, 2023], 2023), ([2022], 2023), ([], 2023), ([2020, 2021], 2023)):
        with pytest.raises(UsageError):
            backtest(grid, fit, score, 8 * HOUR, 24 * HOUR, "start", "typical")


@pytest.mark.parametrize("mode", ["start", "pause"])
def test_the_skill_of_four_weeks_so_far(mode):
    """On a steady grid every promise is kept; after its hours have moved none is, for a while."""
    steady, moved = three_years(False), three_years(True)
    before = datetime(2022, 9, 1, tzinfo=UTC)
    found = skill_so_far(steady, before, 8 * HOUR, 24 * HOUR, mode)
    assert found
    assert found.promised == pytest.approx(found.saving) == pytest.approx(found.oracle)
    assert found.kept == pytest.approx(1)
    fresh = skill_so_far(moved, datetime(2023, 1, 14, tzinfo=UTC), 8 * HOUR, 24 * HOUR, mode)
    assert fresh
    assert fresh.kept < 0.9
    assert skill_so_far(steady, steady.start + 30 * 24 * HOUR, 8 * HOUR, 24 * HOUR, mode) is None


@pytest.mark.skipif(not YEARS.exists(), reason="the shared series are not here")
@pytest.mark.parametrize("zone", ["NO", "ES", "BR", "US-CAL-CISO"])
@pytest.mark.parametrize("mode", ["start", "pause"])
@pytest.mark.parametrize("planner", ["typical", "recent28"])
def test_expected_is_within_three_points_of_realised(zone: str, mode, planner):
    grid = read_csv(YEARS, Reading(column="gco2_lca", zone=zone))
    found = backtest(grid, [2021, 2022], 2023, 8 * HOUR, 24 * HOUR, mode, planner)
    assert found.expected == pytest.approx(found.realised, abs=3.0)
    assert found.realised < found.oracle


@pytest.mark.skipif(not HOURLY.exists(), reason="the shared series are not here")
@pytest.mark.parametrize("zone", ["DE", "IE", "US-CAL-CISO", "ZA"])
def test_the_embedded_skill(zone: str):
    """Means of one half of each month against the starts in the other half, by a plain loop."""
    year = read_csv(HOURLY, Reading(zone=zone))
    times = [year.time(hour) for hour in range(len(year.g_per_kwh))]
    said, saved, best = [], [], []
    for late in (False, True):
        cells: dict[tuple[int, int], list[float]] = {}
        for time, value in zip(times, year.g_per_kwh, strict=True):
            if (time.day > 15) == late:
                cells.setdefault((time.month, time.hour), []).append(value)
        usual = np.array([np.mean(cells[time.month, time.hour]) for time in times])
        for first in range(0, len(times) - 31, 7):
            if any((time.day > 15) == late for time in times[first : first + 32]):
                continue
            real, guess = year.g_per_kwh[first : first + 32], usual[first : first + 32]
            means = [real[hour : hour + 8].mean() for hour in range(25)]
            guesses = [guess[hour : hour + 8].mean() for hour in range(25)]
            start = int(np.argmin(guesses))
            said.append(100 * (1 - guesses[start] / guesses[0]))
            saved.append(100 * (1 - means[start] / means[0]))
            best.append(100 * (1 - min(means) / means[0]))
    found = skill(find(zone), "start")
    assert found
    assert (found.promised, found.saving, found.oracle) == pytest.approx(
        (np.mean(said), np.mean(saved), np.mean(best)), abs=0.1
    )
