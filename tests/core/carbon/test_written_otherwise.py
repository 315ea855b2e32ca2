"""Times and letters as other programs write them."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dln.core.carbon.grid.moments import clocks_changed, stamp
from dln.core.carbon.grid.series import read_csv
from dln.core.errors import UsageError

EARLY, NOON = datetime(2023, 10, 2, 1, 5), datetime(2023, 10, 2, 12, 0, 7)


@pytest.mark.parametrize(
    ("cell", "time"),
    [("2023-10-2 1:05", EARLY), ("2023-10-02 1:05:00", EARLY), ("2023-10-02  01:05", EARLY),
     ("2023-10-02, 1:05 am", EARLY), ("2023/10/2 12:00:07 PM", NOON),
     ("2023-10-02T01:05:00z", EARLY.replace(tzinfo=UTC)),
     ("2023-10-02 04:05 MSK", EARLY.replace(tzinfo=UTC))],
)  # fmt: skip
def test_times(cell: str, time: datetime):
    assert stamp(cell, None).time == time


@pytest.mark.parametrize("cell", ["2023-10/02 01:05", "2023-10-32 1:05", "2023-10-02 24:05"])
def test_no_times(cell: str):
    with pytest.raises(ValueError, match="is not a time"):
        stamp(cell, None)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("header", ["time,gCO₂/kWh", "время;Интенсивность CO₂ (g/kWh)"])
def test_letters_of_all_the_world_above_the_figures(tmp_path: Path, encoding: str, header: str):
    rng = random.Random(encoding)
    values = [rng.randrange(50, 900) / 2 for _ in range(40)]
    mark = ";" if ";" in header else ","
    rows = [f"{EARLY.replace(tzinfo=UTC) + i * timedelta(minutes=30)}{mark}{value}"
            for i, value in enumerate(values)]  # fmt: skip
    path = tmp_path / "g.csv"
    path.write_bytes("\n".join([header, *rows]).encode(encoding))
    assert read_csv(path).g_per_kwh.tolist() == values


def test_half_a_letter_at_the_end(tmp_path: Path):
    path = tmp_path / "g.csv"
    path.write_bytes(
        "time,co2\n2023-10-02T01:00Z,90\n2023-10-02T02:00Z,91".encode("utf-16-le")[:-1]
    )
    with pytest.raises(UsageError, match="no whole UTF-16 text"):
        read_csv(path)


HOUR = timedelta(hours=1)
PLACES = ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Pacific/Auckland"]


@pytest.mark.parametrize("place", PLACES)
def test_every_change_of_clocks_is_seen(place: str):
    hours = [datetime(2015, 1, 1, tzinfo=UTC) + i * HOUR for i in range(24 * 366 * 3)]
    here = [hour.astimezone(ZoneInfo(place)) for hour in hours]
    naive = [time.replace(tzinfo=None) for time in here]
    turns = [i for i in range(1, len(here)) if here[i].utcoffset() != here[i - 1].utcoffset()]
    assert len(turns) >= 6
    for turn in turns:
        assert clocks_changed(naive[turn - 9 : turn + 9], HOUR) == naive[turn]


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("date", ["2023-04-16", "2023-09-17", "2023-10-15", "2023-11-19"])
def test_an_hour_amiss_on_another_sunday(tmp_path: Path, date: str, missing: bool):
    """In a file in UTC, it is no reason to refuse all the others."""
    start = datetime.fromisoformat(date)
    times = [start + i * HOUR for i in range(-30, 30)]
    times = [t for t in times if t != start + 3 * HOUR] if missing else [*times, start + 3 * HOUR]
    rows = [f"{time},{90 + time.hour}" for time in sorted(times)]
    path = tmp_path / "g.csv"
    path.write_text("\n".join(["time_utc,co2", *rows]), encoding="utf-8")
    hours = read_csv(path)
    assert len(hours.g_per_kwh) == 60
    assert hours.sound(hours.start, start.replace(tzinfo=UTC)).g_per_kwh[0] == 90 + 18


def test_names_divided_by_points(tmp_path: Path):
    """As a table made of a service's JSON has them."""
    path = tmp_path / "g.csv"
    rows = [f"2024-02-03T0{i}:00Z,2024-02-03T0{i + 1}:00Z,{70 + i},{80 + i},low" for i in range(6)]
    header = "from,to,intensity.forecast,intensity.actual,intensity.index"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    hours = read_csv(path)
    assert hours.g_per_kwh.tolist() == [80 + i for i in range(6)]
    assert (hours.label.factors, hours.label.kind) == ("direct", "measured")


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("last", ["%H:%M", "%H:%M:59"])
def test_ends_that_name_the_last_minute(tmp_path: Path, minutes: int, last: str):
    path, step = tmp_path / "g.csv", timedelta(minutes=minutes)
    times = [EARLY + i * step for i in range(20)]
    rows = [f"{t},{(t + step - timedelta(minutes=1)).strftime(f'%Y-%m-%d {last}')},{50 + i}"
            for i, t in enumerate(times)]  # fmt: skip
    path.write_text("\n".join(["start,end,co2", *rows]), encoding="utf-8")
    hours = read_csv(path)
    assert (hours.step, hours.g_per_kwh.tolist()) == (step, [50 + i for i in range(20)])
