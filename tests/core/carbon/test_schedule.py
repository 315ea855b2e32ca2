"""Plans against brute force, exhaustive search and the published behaviour."""

import csv
import gzip
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.plan.steps import (
    flexible_start,
    mean_of,
    pause_and_resume,
    savings,
)
from dln.core.carbon.values import Mode
from dln.core.errors import UsageError

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "carbon-data"
HOURLY = SHARED / "ci_hourly_2022_25zones.csv.gz"
RNG = np.random.default_rng(3)


def series(count: int) -> np.ndarray:
    """Whole numbers, so that ties happen."""
    return RNG.integers(20, 60, count).astype(float)


def test_by_hand():
    values = np.array([5.0, 1.0, 4.0, 1.0, 9.0, 1.0])
    assert flexible_start(values, 2, 4) == ((1, 3),)
    assert pause_and_resume(values, 3, 3) == ((1, 2), (3, 4), (5, 6))


@pytest.mark.parametrize("part", range(4))
def test_a_thousand_series_equal_brute_force(part: int):
    rng = np.random.default_rng(part)
    for _ in range(250):
        duration, slack = int(rng.integers(1, 5)), int(rng.integers(0, 6))
        values = rng.integers(0, 9, duration + slack + 2).astype(float)
        window = values[: duration + slack]
        means = [window[s : s + duration].sum() for s in range(slack + 1)]
        assert flexible_start(values, duration, slack)[0][0] == means.index(min(means))
        least = min(sum(window[list(c)]) for c in combinations(range(len(window)), duration))
        blocks = pause_and_resume(values, duration, slack)
        assert sum(end - first for first, end in blocks) == duration
        assert mean_of(values, blocks) * duration == pytest.approx(least)


def test_orders_that_always_hold():
    for _ in range(100):
        duration, values = int(RNG.integers(1, 8)), series(40)
        before = (0.0, 0.0)
        for slack in (0, 1, 3, 8, 20):
            start, pause = (
                savings(values, duration, slack, mode)[0] for mode in ("start", "pause")
            )
            assert pause >= start - 1e-5
            assert start >= before[0] - 1e-9
            assert pause >= before[1] - 1e-5
            assert slack or (start, pause) == (0.0, 0.0)
            before = start, pause


def test_savings_are_those_of_the_plans():
    values = series(60)
    plans: dict[Mode, Callable] = {"start": flexible_start, "pause": pause_and_resume}
    for mode, plan in plans.items():
        found = savings(values, 5, 9, mode)
        assert len(found) == 60 - 13
        for start in (0, 17, len(found) - 1):
            ahead = values[start:]
            expected = 100 * (1 - mean_of(ahead, plan(ahead, 5, 9)) / ahead[:5].mean())
            assert found[start] == pytest.approx(expected, abs=1e-4)


def test_a_constant_grid_saves_nothing():
    assert np.abs(savings(np.full(200, 320.0), 8, 24, "pause")).max() < 1e-4
    assert np.abs(savings(np.full(200, 320.0), 8, 24, "start")).max() < 1e-9


def test_too_little_data():
    with pytest.raises(UsageError, match="need 12 steps, the data has 11"):
        flexible_start(np.ones(11), 4, 8)


@cache
def hourly() -> dict[str, np.ndarray]:
    """The year by zone."""
    found: dict[str, list[float]] = {}
    with gzip.open(HOURLY, "rt") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["zone"], []).append(float(row["gco2_per_kwh"]))
    return {zone: np.array(values) for zone, values in found.items()}


@pytest.mark.skipif(not HOURLY.exists(), reason="the shared series are not here")
@pytest.mark.parametrize(
    ("zone", "expected"),
    {  # FS24 1 h, 8 h, 36 h; P&R 100 % 1 h, 8 h, 36 h; P&R +24 h 1 h, 8 h, 36 h
        "FR": (17.9, 13.0, 5.9, 2.0, 7.8, 11.8, 17.9, 14.7, 9.0),
        "SE-SE3": (12.2, 9.4, 3.8, 1.6, 6.5, 9.0, 12.2, 10.6, 7.4),
        "NO-NO2": (29.0, 23.5, 11.4, 5.1, 18.8, 28.5, 29.0, 28.4, 24.3),
        "DE": (22.1, 17.3, 6.8, 1.9, 9.5, 14.6, 22.1, 19.0, 11.1),
        "PL": (12.4, 9.3, 3.2, 1.1, 5.1, 7.3, 12.4, 10.3, 5.5),
        "GB": (22.5, 17.9, 8.3, 2.3, 10.2, 16.7, 22.5, 19.7, 12.8),
        "IE": (21.0, 16.8, 9.0, 2.0, 8.9, 17.2, 21.0, 18.2, 13.3),
        "NL": (19.3, 15.2, 5.9, 2.0, 9.2, 13.2, 19.3, 16.7, 10.3),
        "ES": (21.1, 17.3, 7.1, 2.0, 9.9, 14.9, 21.1, 18.7, 11.6),
        "US-CAL-CISO": (30.0, 26.4, 7.1, 2.6, 15.1, 19.7, 30.0, 28.2, 14.5),
        "US-MIDW-MISO": (8.0, 6.1, 2.7, 0.7, 3.3, 5.4, 8.0, 6.7, 4.2),
        "US-CENT-SWPP": (19.5, 16.2, 8.1, 1.8, 9.0, 16.0, 19.5, 17.3, 12.6),
        "US-NW-BPAT": (19.9, 13.2, 5.0, 2.4, 9.6, 12.9, 19.9, 16.2, 10.3),
        "US-TEX-ERCO": (16.2, 11.7, 5.2, 1.7, 7.1, 10.9, 16.2, 13.4, 8.5),
        "US-MIDA-PJM": (5.4, 3.8, 1.5, 0.5, 2.2, 3.3, 5.4, 4.3, 2.5),
        "US-NW-WACM": (9.5, 6.5, 2.4, 1.0, 3.9, 5.7, 9.5, 7.4, 4.4),
        "US-SW-AZPS": (14.8, 11.2, 2.8, 1.2, 6.4, 7.8, 14.8, 12.2, 5.8),
        "US-SE-SOCO": (6.1, 4.3, 1.3, 0.6, 2.6, 3.2, 6.1, 4.8, 2.4),
        "US-NY-NYIS": (8.1, 5.7, 2.1, 0.9, 3.5, 4.8, 8.1, 6.5, 3.7),
        "CA-ON": (41.5, 33.8, 13.4, 4.5, 20.2, 30.6, 41.5, 37.9, 24.1),
        "AU-NSW": (23.6, 17.9, 4.6, 2.1, 10.2, 13.0, 23.6, 19.7, 9.6),
        "JP-TK": (12.3, 9.4, 2.1, 0.9, 5.1, 6.1, 12.3, 10.2, 4.3),
        "IN-WE": (9.9, 8.0, 2.0, 0.8, 4.8, 5.8, 9.9, 8.5, 4.2),
        "ZA": (4.8, 3.7, 1.1, 0.4, 2.2, 2.7, 4.8, 4.0, 2.1),
        "BR-CS": (11.4, 8.5, 3.1, 1.0, 5.2, 7.1, 11.4, 9.2, 5.6),
    }.items(),
)
def test_the_year_2022_replicates(zone: str, expected: tuple[float, ...]):
    values = hourly()[zone]
    hours = (1, 8, 36)
    cases: list[tuple[int, int, Mode]] = [
        *((hour, 24, "start") for hour in hours),
        *((hour, hour, "pause") for hour in hours),
        *((hour, 24, "pause") for hour in hours),
    ]
    found = [savings(values, duration, slack, mode).mean() for duration, slack, mode in cases]
    assert found == pytest.approx(expected, abs=1.0)
