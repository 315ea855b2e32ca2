"""Energy that nobody measured: null, or the mean of what was, and never nothing."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.meter.emissions import NAME, Emissions, Interval
from dln.core.carbon.meter.meter import Energy, power_of
from dln.core.carbon.meter.recorder import Account, Recorder
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")


def run_of(*parts: tuple[float, float | None, bool], **more) -> Emissions:
    """Intervals of (seconds, kWh or None, running), one after the other."""
    start, intervals = NOON, []
    for seconds, kwh, running in parts:
        known = kwh is not None
        intervals.append(Interval(start, seconds, kwh or 0.0, 0.0, 0.0, running, known))
        start = intervals[-1].end
    return Emissions("a run", NOON, tuple(intervals), {"cpu": "measured (RAPL)"}, **more)


def test_what_was_missed_counts_at_the_mean_of_the_rest():
    draw = random.Random(3)
    for _ in range(50):
        head, rest = draw.uniform(1, 60), draw.uniform(61, 9000)
        watts, grams = draw.uniform(10, 900), draw.uniform(0, 900)
        series = Series(NOON, timedelta(hours=1), np.array([grams]), LABEL)
        run = run_of((head, None, True), (rest, watts * rest / 3.6e6, True), pue=1.3,
                     region="DE", source="x", intensity=series, market_g_per_kwh=5.0)  # fmt: skip
        kwh = 1.3 * watts * (head + rest) / 3.6e6
        assert run.kwh == pytest.approx(kwh)
        assert run.kg == pytest.approx(kwh * grams / 1000)
        assert run.at_once_kg == pytest.approx(kwh * grams / 1000)
        assert run.market_kg == pytest.approx(kwh * 5 / 1000)
        assert run.not_measured_seconds == head


def test_a_pause_counts_as_pauses_do():
    run = run_of((100, 5.0, True), (10, None, True), (100, 1.0, False), (20, None, False))
    assert run.kwh == pytest.approx(5 + 0.5 + 1 + 0.2)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(9, None, True)],
        [(60, None, True), (10, 1.0, True)],
        [(9, 1.0, True), (10, None, False)],
    ],
)
def test_too_little_is_not_known(parts, tmp_path: Path):
    series = Series(NOON, timedelta(hours=1), np.array([100.0]), LABEL)
    run = run_of(*parts, region="DE", source="x", intensity=series, market_g_per_kwh=1.0)
    table = run.to_json()
    for name in ("energy_kwh", "emissions_kg", "market_kg", "at_once_emissions_kg",
                 "saving_percent", "intensity_g_per_kwh"):  # fmt: skip
        assert table[name] is None
    run.save(tmp_path / NAME)
    assert Emissions.load(tmp_path).to_json() == table


def test_null_in_the_file_and_back(tmp_path: Path):
    run = run_of((5, None, True), (50, 1.0, True), scope="process", market_g_per_kwh=0.0)
    run.save(tmp_path / NAME)
    table = json.loads((tmp_path / NAME).read_text())
    assert table["intervals"][0]["cpu_kwh"] is table["intervals"][0]["ram_kwh"] is None
    assert (table["scope"], table["market_g_per_kwh"], table["market_kg"]) == ("process", 0.0, 0.0)
    assert Emissions.load(tmp_path) == run


def test_records_of_before_are_read(tmp_path: Path):
    table = run_of((5, 1.0, True)).to_json()
    for name in ("scope", "market_g_per_kwh", "market_kg", "not_measured_seconds"):
        del table[name]
    (tmp_path / NAME).write_text(json.dumps(table))
    assert Emissions.load(tmp_path).kwh == 1.0
    # Without a meter they had zeros, which nobody measured.
    table["power"], table["intervals"][0]["cpu_kwh"] = {}, 0.0
    (tmp_path / NAME).write_text(json.dumps(table))
    assert Emissions.load(tmp_path).kwh is None


class Scripted:
    """A meter of 360 kW that is ready at a moment of the clock, and may die."""

    problem = "it was not ready"
    lag = 0.0

    def __init__(self, ready: float, dead: float = 1e9) -> None:
        self.seconds, self.ready, self.dead = 0.0, ready, dead
        self.power = {"cpu": "measured (RAPL)"}

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    @property
    def age(self) -> float | None:
        return self.seconds - self.ready if self.seconds >= self.ready else None

    def read(self) -> Energy | None:
        counted = self.seconds - self.ready
        return (
            Energy(cpu=0.1 * counted + 1e-9) if counted >= 0 and self.seconds < self.dead else None
        )

    def close(self) -> Energy | None:
        return self.read()


def recorded(meter: Scripted, path: Path, *moments: float) -> Recorder:
    kept = Recorder(path, "job", None, now=meter.now, meter=meter)  # pyright: ignore
    for moment in moments:
        meter.seconds = moment
        kept.mark()
    return kept


def test_a_meter_that_is_late(tmp_path: Path):
    meter = Scripted(ready=60)
    kept = recorded(meter, tmp_path / NAME, 30, 100, 160, 400)
    first = kept.record.intervals[0]
    assert (first.seconds, first.measured) == (60, False)
    assert sum(i.kwh for i in kept.record.intervals) == pytest.approx(34)
    assert kept.close().kwh == pytest.approx(40)
    assert kept.record.not_measured_seconds == 60
    (note,) = kept.notes
    assert "60 seconds of 6.67 minutes were not measured" in note


def test_a_late_meter_of_a_long_job_is_no_news(tmp_path: Path):
    kept = recorded(Scripted(ready=60), tmp_path / NAME, *range(300, 28_801, 300))
    assert kept.record.kwh == pytest.approx(2880)
    assert kept.notes == []


def test_a_meter_that_comes_too_late_or_never(tmp_path: Path):
    for ready, why in ((60, "no meter for 60 seconds of 70 seconds"), (1e9, "it was not ready")):
        kept = recorded(Scripted(ready), tmp_path / NAME, 70)
        assert kept.close().kwh is None
        assert kept.notes == [f"the energy was not measured: {why}"]


def test_a_meter_that_dies(tmp_path: Path):
    kept = recorded(Scripted(ready=0, dead=900), tmp_path / NAME, 300, 600, 950, 1200)
    assert [i.measured for i in kept.record.intervals] == [True, True, False, False]
    assert kept.record.kwh == pytest.approx(120)
    assert kept.record.not_measured_seconds == 600


def test_what_a_meter_cannot_have_read_is_no_energy():
    assert Energy(1.0, 0.0, 0.0).told
    for parts in (
        (0.0, 0.0, 0.0),
        (1.0, -1.0, 1.0),
        (float("nan"), 1.0, 1.0),
        (1.0, float("inf"), 0.0),
    ):
        assert not Energy(*parts).told


def test_a_share_is_told_from_the_whole():
    cpu = type("CPU", (), {"_mode": "intel_rapl"})()
    load = type("CPU", (), {"_mode": "cpu_load"})()
    gpu = type("GPU", (), {"gpu_ids": [0, 3], "num_gpus": 8})()
    assert power_of([cpu, gpu], "process")["cpu"] == "measured (RAPL, of the whole machine)"
    assert power_of([load])["cpu"] == "estimated (rated power and load)"
    assert "of its processes" in power_of([load], "process")["cpu"]
    assert power_of([gpu])["gpu"] == "measured (its own counter, GPU 0, 3 of 8)"


def test_a_run_stays_what_it_was_metered_by(tmp_path: Path):
    before = replace(run_of((5, 1.0, True)), scope="process", market_g_per_kwh=7.0)
    meter = Scripted(0)
    path = tmp_path / "run" / NAME
    kept = Recorder(path, "x", None, before, account=None, meter=meter)  # pyright: ignore
    assert (kept.record.scope, kept.record.market_g_per_kwh) == ("process", 7.0)
    with pytest.raises(UsageError, match="metered by process"):
        Recorder(path, "x", None, before, account=Account(), meter=meter)  # pyright: ignore
    for grams in (-1.0, float("nan"), 1e9):
        with pytest.raises(UsageError, match="--intensity is at least 0"):
            Account(market_g_per_kwh=grams)
