"""Times and letters as other programs write them."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.moments import stamp
from dln.core.carbon.series import read_csv
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
