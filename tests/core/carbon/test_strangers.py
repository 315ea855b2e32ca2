"""Files, answers and figures of strangers: values within their ranges, or a sentence."""

import gzip
import json
import os
import random
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.dialects import Reading
from dln.core.carbon.grid.moments import parse_duration
from dln.core.carbon.grid.series import read_csv
from dln.core.carbon.grid.sources import Annual, FromFile, open_source
from dln.core.carbon.meter.emissions import NAME, Emissions, Interval
from dln.core.carbon.places.profiles import recent
from dln.core.carbon.places.regions import find
from dln.core.carbon.plan.backtest import backtest, skill_so_far
from dln.core.carbon.plan.plan import Job, Plan, make_plan
from dln.core.carbon.plan.threshold import RETRY, Threshold
from dln.core.carbon.report.integrity import verify
from dln.core.carbon.report.page import markdown, write
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.values import Label, Series, parse_time, within
from dln.core.errors import DlnError, UsageError

START = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
RUN = Emissions(
    "a run",
    START,
    (Interval(START, 3600, 1.0, 2.0), Interval(START + HOUR, 3600, 0.1, 0.0, running=False)),
    {"cpu": "measured (RAPL)"},
    1.5,
    "DE",
    "annual",
    Series(START, HOUR, np.array([400.0, 500.0]), LABEL),
)
PLAN = {
    "schema": 1, "region": "DE", "source": "typical", "mode": "pause", "foresight": False,
    "submitted": "2024-06-01T00:00Z", "label": LABEL.to_json(),
    "blocks": [{"start": "2024-06-01T03:00Z", "end": "2024-06-01T05:00Z"}],
    "intensity_g_per_kwh": 300, "at_once_g_per_kwh": 400.5, "kept": 0.5,
}  # fmt: skip


def grid(count: int, step: timedelta = HOUR) -> bytes:
    rows = [f"{(START + i * step).isoformat()},{100 + i % 24}" for i in range(count)]
    return "\n".join(["timestamp_utc,gco2_per_kwh", *rows]).encode()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_series_that_is_cut_off_is_no_interruption(tmp_path: Path, kept: float):
    packed = gzip.compress(grid(500))
    path = tmp_path / "grid.csv.gz"
    path.write_bytes(packed)
    assert len(read_csv(path).g_per_kwh) == 500
    path.write_bytes(packed[: int(kept * len(packed))])
    with pytest.raises(UsageError, match=r"grid\.csv\.gz is cut off"):
        read_csv(path)


def test_packed_series_that_are_damaged(tmp_path: Path):
    """Any flipped byte: the same numbers, or a sentence."""
    packed, rng = gzip.compress(grid(200)), random.Random(0)
    path = tmp_path / "grid.csv.gz"
    refused = 0
    for _ in range(200):
        damaged = bytearray(packed)
        damaged[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            assert len(read_csv(path).g_per_kwh) == 200
        except UsageError:
            refused += 1
    assert refused > 150


def test_series_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dln.core.carbon.grid.sheet.MOST_BYTES", 10_000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"\n" * 20_000))
    with pytest.raises(UsageError, match="more than 10,000 bytes, unpacked"):
        read_csv(tmp_path / "bomb.csv.gz")
    (tmp_path / "long.csv").write_bytes(grid(500))
    with pytest.raises(UsageError, match="more than 10,000 bytes"):
        read_csv(tmp_path / "long.csv")
    monkeypatch.setattr("dln.core.carbon.grid.sheet.MOST_ROWS", 99)
    (tmp_path / "rows.csv").write_bytes(grid(100))
    with pytest.raises(UsageError, match="more than 99 rows"):
        read_csv(tmp_path / "rows.csv")


@pytest.mark.skipif(os.name == "nt", reason="POSIX devices")
@pytest.mark.parametrize("read", [read_csv, Plan.load, Emissions.load])
def test_devices_are_no_files(read: Callable, tmp_path: Path):
    with pytest.raises(UsageError, match="device"):
        read(Path("/dev/zero"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe"):
        read(tmp_path / "pipe")


CELLS = ["1e400", "9" * 5000, "nan", "-1", '"', "\0", "\xff", "x" * 140_000, "", ",,", "1e308",
         "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59", "2024-06-01T00:00+99:00"]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_a_series_with_strange_cells(tmp_path: Path, seed: int):
    rng = random.Random(seed)
    lines = grid(30).decode().split("\n")
    cells = lines[rng.randrange(31)].split(",")
    place = lines.index(",".join(cells))
    cells[rng.randrange(2)] = rng.choice(CELLS)
    lines[place] = ",".join(cells)
    (tmp_path / "grid.csv").write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read_csv(tmp_path / "grid.csv").sound()
    assert len(caught.value.message) < 500


def test_a_short_row_of_a_file_with_zones(tmp_path: Path):
    rows = ["timestamp_utc,gco2_per_kwh,zone", "2024-06-01T00:00Z,100,north", "2024", ""]
    (tmp_path / "zones.csv").write_text("\n".join(rows))
    with pytest.raises(UsageError, match="fewer than two rows"):
        read_csv(tmp_path / "zones.csv", Reading(zone="north"))
    with pytest.raises(UsageError, match="Did you mean 'north'"):
        read_csv(tmp_path / "zones.csv", Reading(zone="nrth"))


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00+23:59",
        "9999-12-31",
        "1969-12-31T23:59Z",
        "2199-12-31T23:59-23:59",
        "x",
        "",
        "9" * 5000,
    ],
)
def test_times_of_another_century(text: str):
    with pytest.raises(ValueError, match="is not") as caught:
        parse_time(text)
    assert len(str(caught.value)) < 150


def test_times_come_in_utc():
    assert parse_time("2024-06-01T02:30+02:30") == START
    assert parse_time("2024-06-01T02:30+02:30").utcoffset() == timedelta(0)
    assert parse_time("2024-06-01") == START


@pytest.mark.parametrize("text", ["9" * 400 + "h", "1000000000d", "87673h"])
def test_durations_beyond_ten_years(text: str):
    with pytest.raises(UsageError, match="longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 11.0, 10**400])
def test_figures_out_of_range(value: float):
    with pytest.raises(UsageError, match="--x is above 0 and at most 10"):
        within(value, "--x", 10.0)


def test_figures_in_range():
    assert within(10, "--x", 10.0) == 10
    with pytest.raises(UsageError, match=r"at least 1 and at most 10, not 0\.5"):
        within(0.5, "--x", 10.0, least=1)


def test_a_plan_of_too_many_steps():
    source = Annual(100.0, LABEL)
    with pytest.raises(UsageError, match="more than a plan can have"):
        make_plan(Job(HOUR, 13 * 366 * 24 * HOUR), find("de"), source, START)
    costly = Job(2000 * HOUR, 4000 * HOUR, pause_cost=timedelta(minutes=1))
    with pytest.raises(UsageError, match="too many for --pause-cost"):
        make_plan(costly, find("de"), source, START)


def test_a_back_test_of_too_many_steps():
    count = 366 * 24 * 12
    year = Series(datetime(2024, 1, 1, tzinfo=UTC), HOUR / 12, np.ones(count), LABEL)
    long = timedelta(days=90)
    with pytest.raises(UsageError, match="too many"):
        backtest(year, [2023], 2024, long, long, "pause", "recent28")
    with pytest.raises(UsageError, match="is no year"):
        backtest(year, [2023], 10**40, HOUR, HOUR, "pause", "recent28")
    quick = replace(year, step=timedelta(seconds=10))
    assert skill_so_far(quick, quick.end, HOUR, timedelta(days=5), "pause") is None


@pytest.mark.parametrize("hours", [7, 25, 40, 72])
def test_steps_without_a_mean_day(hours: int):
    series = Series(START, hours * HOUR, np.arange(100.0) + 5, LABEL)
    with pytest.raises(UsageError, match="do not divide a day"):
        recent(series, START + timedelta(days=28), START + timedelta(days=29))


def test_the_mean_of_a_long_span_takes_no_memory():
    """A second of data, and an interval of thirty years: 100 in it, 100 and 300 beside it."""
    tiny = timedelta(microseconds=1)
    series = Series(START, tiny, np.array([100.0, 300.0]), LABEL)
    years = timedelta(days=10_000)
    assert series.mean(START - years, START + years) == pytest.approx(200)
    assert series.mean(START - 3 * tiny, START + tiny) == 100
    assert series.mean(START - 2 * tiny, START + 2 * tiny) == pytest.approx(150)
    assert series.mean(START + tiny, START + 5 * tiny) == 300


def changed(table: dict, place: tuple, value: object) -> str:
    """The table as JSON with another value at a place."""
    table = deepcopy(table)
    inner = table
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return json.dumps(table)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("blocks",), []),
        (("blocks",), 5),
        (("blocks", 0, "start"), "0001-01-01T00:00+23:59"),
        (("blocks", 0, "start"), "2024-06-01T03:00"),
        (("blocks", 0, "end"), "2024-06-01T01:00Z"),
        (("blocks", 0), None),
        (("mode",), "sideways"),
        (("intensity_g_per_kwh",), -1),
        (("at_once_g_per_kwh",), 1e308),
        (("at_once_g_per_kwh",), float("nan")),
        (("kept",), 1e9),
        (("label",), {"x": 1}),
        (("label", "kind"), 5),
        (("region",), ["DE"]),
        (("foresight",), 1),
    ],
)
def test_plans_that_are_none(tmp_path: Path, place: tuple, value: object):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    assert Plan.load(path).kept == 0.5
    path.write_text(changed(PLAN, place, value))
    with pytest.raises(UsageError, match="is not a plan"):
        Plan.load(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("pue",), 0.0),
        (("pue",), 1e30),
        (("intervals", 0, "seconds"), -1),
        (("intervals", 0, "seconds"), 1e10),
        (("intervals", 0, "cpu_kwh"), "1"),
        (("intervals", 0, "cpu_kwh"), 10**400),
        (("intervals", 0, "start"), "9999-12-31T23:59:59-23:59"),
        (("submitted",), "2024-06-01T00:00:00"),
        (("intensity", "g_per_kwh"), []),
        (("intensity", "g_per_kwh"), [1e9]),
        (("intensity", "step_seconds"), 0),
        (("intensity", "step_seconds"), 3e9),
        (("power",), [1]),
        (("what",), None),
    ],
)
def test_records_that_are_none(tmp_path: Path, place: tuple, value: object):
    path = tmp_path / NAME
    RUN.save(path)
    assert Emissions.load(tmp_path).kg == RUN.kg
    path.write_text(changed(RUN.to_json(), place, value))
    with pytest.raises(UsageError, match="not a record that dln wrote"):
        Emissions.load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "5", '{"runs": 5}', '{"runs": [{}]}'])
def test_reports_that_are_none(text: str):
    with pytest.raises(UsageError, match="the report is damaged"):
        verify(text)


def test_a_report_with_figures_beyond_numbers():
    run = RUN.placed(find("germany"), open_source("annual", find("germany")))
    table = json.loads(json.dumps(report([Subject("a", run)], [find("norway")])))
    assert verify(json.dumps(table)).wrong == []
    for value in (1e308, 10**400, "1"):
        first, *rest = verify(changed(table, ("runs", 0, "emissions_kg"), value)).wrong
        assert first.startswith("a: emissions_kg is 1")
        assert len(first) < 200
        assert len(rest) == 1


SCRIPT = "<script>alert(1)</script>\n\n```\n| [x](javascript:1) `y` \x1b[31m"


def test_no_markup_of_a_record_reaches_a_report(tmp_path: Path):
    run = replace(RUN, what=SCRIPT, power={"cpu": SCRIPT})
    table = report([Subject(SCRIPT, run)], [find("norway")])
    write(tmp_path, table, [run])
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert not re.search(r"(?<!\\)<script", text)
        assert "\x1b" not in text
    told = markdown(table)
    assert "[x](" not in told.partition("```latex")[0].replace(r"\[", "")
    assert sum(line.startswith("```") for line in told.splitlines()) == 2
    rows = [line for line in told.splitlines() if line.startswith("| what ran |")]
    assert rows[0].replace(r"\|", "").count("|") == 3


def test_a_source_that_fails_is_told_once_and_left_alone():
    asked, told = [], []

    def intensity(moment: datetime) -> float:
        asked.append(moment)
        if moment < START + HOUR:
            raise DlnError("the service is down")
        return 500.0

    limit = Threshold(100.0, intensity, on_problem=told.append)
    moments = [START + i * RETRY / 4 for i in range(13)]  # asked at 0, 1 and 3 minutes
    assert all(limit.running(moment) for moment in moments)
    assert len(asked) == 3
    assert [("down" in line, "goes on" in line) for line in told] == [(True, True)]
    assert not limit.running(START + HOUR)
    assert limit.running(START)
    assert len(told) == 2


def test_a_header_of_60000_columns_is_quoted_short(tmp_path: Path):
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(60_000)) + "\n1\n")
    with pytest.raises(UsageError, match="no column of times") as caught:
        read_csv(tmp_path / "wide.csv")
    assert len(caught.value.hint or "") < 400


def test_a_source_of_a_moment_that_is_not_in_the_data():
    source = FromFile(Series(START, HOUR, np.array([1.0, 2.0]), LABEL))
    limit = Threshold(100.0, lambda moment: source.series(moment, moment + HOUR).at(moment))
    assert limit.running(START - timedelta(days=9))
