"""What is wrong with a file is said before a plan is made on it."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.dialects import Reading
from dln.core.carbon.grid.moments import parse_duration
from dln.core.carbon.grid.series import read_csv
from dln.core.errors import UsageError

START = datetime(2022, 3, 26, 22, tzinfo=UTC)
HEADER = "timestamp_utc,gco2_per_kwh"


def rows(values: list[float], step: timedelta = timedelta(hours=1)) -> list[str]:
    return [f"{(START + i * step).isoformat()},{value}" for i, value in enumerate(values)]


def write(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    path = folder / "grid.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_sound_file(tmp_path: Path):
    found = read_csv(write(tmp_path, rows([100, 200.5, 300], timedelta(minutes=5))))
    assert found.g_per_kwh.tolist() == [100, 200.5, 300]
    assert (found.start, found.step) == (START, timedelta(minutes=5))
    assert found.end == START + timedelta(minutes=15)
    assert (found.label.year, found.label.kind) == ("2022", "measured")
    assert found.at(START + timedelta(minutes=9)) == 200.5


def test_packed_and_by_zone(tmp_path: Path):
    path = tmp_path / "two.csv.gz"
    times = [(START + timedelta(hours=i)).isoformat() for i in range(3)]
    lines = [f"{zone},{t},{g}" for zone, g in (("DE", 400), ("FR", 50)) for t in times]
    path.write_bytes(gzip.compress("\n".join(["zone," + HEADER, *lines]).encode()))
    assert read_csv(path, Reading(zone="FR")).g_per_kwh.tolist() == [50, 50, 50]
    with pytest.raises(UsageError, match="several zones") as caught:
        read_csv(path)
    assert "DE, FR" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="fewer than two rows for FRA"):
        read_csv(path, Reading(zone="FRA"))


def cut(lines: list[str], at: int) -> list[str]:
    return lines[:at] + lines[at + 1 :]


GOOD = rows([100, 120, 140, 130, 110, 90])
LOCAL = [f"2022-10-30T{h:02d}:00,{g}" for h, g in ((0, 90), (1, 91), (2, 92), (2, 93), (3, 94))]
SPRING = [f"2022-03-27T{h:02d}:00,{g}" for h, g in ((0, 90), (1, 91), (3, 93), (4, 94))]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (cut(GOOD, 3), "no value for 2022-03-27T01:00Z: there is no row for it"),
        (
            [*GOOD[:3], GOOD[2].replace("140", "141"), *GOOD[3:]],
            "no value for 2022-03-27T00:00Z: lines 4 and 5 each have one",
        ),
        (LOCAL, "local: around 2022-10-30 02:00 the clocks change"),
        (SPRING, "local: around 2022-03-27 03:00 the clocks change"),
        (rows([100, -5, 100, 100]), "negative"),
        (rows([100, float("nan"), 100]), "line 3 has 'nan'"),
        (rows([0.3, 0.4, 0.35]), "kg or t"),
        (rows([300_000, 400_000, 350_000]), "mg, or for each MWh"),
        (["yesterday,5", *GOOD], "line 2 .*'yesterday' is not a time"),
        ([GOOD[0], "2022-03-26T23:00Z,"], "no value for 2022-03-26T23:00Z: line 3 is empty"),
        (GOOD[:1], "fewer than two rows"),
    ],
)
def test_one_sentence_each(tmp_path: Path, lines: list[str], sentence: str):
    with pytest.raises(UsageError, match=sentence):
        read_csv(write(tmp_path, lines)).sound()


def test_columns_that_are_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no column of times"):
        read_csv(write(tmp_path, GOOD, "stamp,gco2_per_kwh"))
    with pytest.raises(UsageError, match=r"no column of intensity"):
        read_csv(write(tmp_path, GOOD, "timestamp,price"))
    with pytest.raises(UsageError, match=r"no column 'gco2_per_kw'"):
        read_csv(write(tmp_path, GOOD), Reading(column="gco2_per_kw"))
    with pytest.raises(UsageError, match="no file"):
        read_csv(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("text", "hours"), [("8h", 8), ("90min", 1.5), ("2d", 48), ("2h30m", 2.5), ("1.5 d", 36)]
)
def test_durations(text: str, hours: float):
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "8", "h", "8 hours", "-3h", "8h and more"])
def test_no_durations(text: str):
    with pytest.raises(UsageError, match="not a duration"):
        parse_duration(text)


def test_between_takes_every_interval_that_is_touched(tmp_path: Path):
    series = read_csv(write(tmp_path, GOOD))
    half = timedelta(minutes=30)
    part = series.between(START + half, START + 3 * half)
    assert np.array_equal(part.g_per_kwh, [100, 120])
    assert part.start == START
