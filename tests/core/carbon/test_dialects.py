"""The files that people have: each drawn at random, written as its maker writes it, and read back
as the same hours."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dln.core.carbon.grid.dialects import Reading
from dln.core.carbon.grid.hours import FileSeries
from dln.core.carbon.grid.series import read_csv
from dln.core.carbon.grid.units import UNITS, decimal_comma, number, unit_in
from dln.core.errors import UsageError

HOUR = timedelta(hours=1)
POUND = 0.45359237  # kg, by its definition
MADRID, PARIS = ZoneInfo("Europe/Madrid"), ZoneInfo("Europe/Paris")
AUTUMN = datetime(2023, 10, 27, tzinfo=UTC)  # two days before the clocks go back
SPRING = datetime(2024, 3, 30, tzinfo=UTC)  # one before they go forward


@pytest.fixture
def rng() -> random.Random:
    return random.Random(16)


def drawn(rng: random.Random, count: int = 96) -> list[float]:
    return [round(rng.uniform(20, 900), 2) for _ in range(count)]


def times(count: int, start: datetime = AUTUMN, step: timedelta = HOUR) -> list[datetime]:
    return [start + i * step for i in range(count)]


def written(
    path: Path, header: list[str], rows: list[list], delimiter: str = ",", end: str = "\n"
) -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([header, *rows])
    path.write_bytes(text.getvalue().encode())
    return path


def same(found: FileSeries, values: list[float], start: datetime = AUTUMN, step=HOUR) -> None:
    assert (found.start, found.step) == (start, step)
    assert found.sound().g_per_kwh == pytest.approx(values, rel=1e-12)


OLD = ["Datetime (UTC)", "Country", "Zone Name", "Zone Id", "Carbon Intensity gCO₂eq/kWh (direct)",
       "Carbon Intensity gCO₂eq/kWh (LCA)", "Low Carbon Percentage", "Renewable Percentage",
       "Data Source", "Data Estimated", "Data Estimation Method"]  # fmt: skip
NEW = ["Datetime (UTC)", "Country", "Zone name", "Zone id", "Carbon intensity gCO₂eq/kWh (direct)",
       "Carbon intensity gCO₂eq/kWh (Life cycle)", "Carbon-free energy percentage (CFE%)",
       "Renewable energy percentage (RE%)", "Data source", "Data estimated",
       "Data estimation method"]  # fmt: skip


@pytest.mark.parametrize("header", [OLD, NEW])
def test_electricity_maps(tmp_path: Path, rng: random.Random, header: list[str]):
    direct, whole = drawn(rng), drawn(rng)
    rows = [[f"{t:%Y-%m-%d %H:%M:%S}", "Norway", "Oslo", "NO-NO1", d, w, 99.1, 98, "x", "false", ""]
            for t, d, w in zip(times(96), direct, whole, strict=True)]  # fmt: skip
    path = written(tmp_path / "em.csv", header, rows)
    found = read_csv(path)
    same(found, whole)
    assert (found.label.signal, found.label.factors) == ("average", "life-cycle")
    assert found.remarks == ()
    found = read_csv(path, Reading(factors="direct"))
    same(found, direct)
    assert found.label.factors == "direct"
    same(read_csv(path, Reading(column=header[4], zone="NO-NO1")), direct)
    with pytest.raises(UsageError, match="says itself that its factors are direct"):
        read_csv(path, Reading(column=header[4], factors="life-cycle"))


HALF = timedelta(minutes=30)


def test_great_britain(tmp_path: Path, rng: random.Random):
    actual, foreseen = drawn(rng), drawn(rng)
    header = ["Datetime (UTC)", "Actual Carbon Intensity (gCO2/kWh)",
              "Forecast Carbon Intensity (gCO2/kWh)", "Index"]  # fmt: skip
    rows = [[f"{t:%Y-%m-%dT%H:%MZ}", a, f, "low"]
            for t, a, f in zip(times(96, step=HALF), actual, foreseen, strict=True)]  # fmt: skip
    path = written(tmp_path / "gb.csv", header, rows)
    found = read_csv(path)
    same(found, actual, step=HALF)
    assert (found.label.factors, found.label.kind) == ("direct", "measured")
    found = read_csv(path, Reading(column=header[2]))
    same(found, foreseen, step=HALF)
    assert found.label.kind == "forecast"


def british(times: list[datetime], values: list[int]) -> str:
    rows = [{"from": f"{t:%Y-%m-%dT%H:%MZ}", "to": f"{t + HALF:%Y-%m-%dT%H:%MZ}",
             "intensity": {"forecast": 1000, "actual": v, "index": "low"}}
            for t, v in zip(times, values, strict=True)]  # fmt: skip
    return json.dumps({"data": rows})


def test_an_answer_in_json(tmp_path: Path, rng: random.Random):
    values, path = [rng.randrange(30, 300) for _ in range(20)], tmp_path / "gb.json"
    path.write_text(british(times(20, step=HALF), values))
    same(read_csv(path), [float(v) for v in values], step=HALF)
    path.write_text(british(times(20), values))  # every second half-hour is not there
    with pytest.raises(UsageError, match=r"holes all over.*first 2023-10-27T00:30Z"):
        read_csv(path)
    for text in ("{}", '{"data": []}', "[1, 2]", '{"data": ', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UsageError, match="JSON"):
            read_csv(path)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (["timestamp", "MOER", "MOER version", "frequency"], lambda t, v: [t, v, "3.2", "300.0"]),
        (["point_time", "value"], lambda t, v: [t, v]),
        (["point_time", "value", "last_updated"], lambda t, v: [t, v, "2024-01-01T00:00Z"]),
    ],
)
def test_watttime(tmp_path: Path, rng: random.Random, header: list[str], row: Callable):
    step, values = timedelta(minutes=5), [0.0, *drawn(rng, 299)]  # marginal and 0: wind thrown away
    rows = [row(t.isoformat(" "), v) for t, v in zip(times(300, step=step), values, strict=True)]
    path = written(tmp_path / "moer.csv", header, rows)
    found = read_csv(path)
    same(found, [v * POUND for v in values], step=step)
    assert (found.label.signal, found.label.factors) == ("marginal", "direct")
    with pytest.raises(UsageError, match="signal is marginal, not average"):
        read_csv(path, Reading(signal="average"))


def test_eia_names_an_hour_by_its_end(tmp_path: Path, rng: random.Random):
    values = drawn(rng)
    header = ["Balancing Authority", "Data Date", "Hour Number", "Local Time at End of Hour",
              "UTC Time at End of Hour", "Demand (MW)",
              "CO2 Emissions Intensity for Consumed Electricity"]  # fmt: skip
    rows = [["CISO", f"{t:%m/%d/%Y}", t.hour + 1, f"{t - 6 * HOUR:%m/%d/%Y %I:%M:%S %p}",
             f"{t + HOUR:%m/%d/%Y %I:%M:%S %p}", "25,000", v]
            for t, v in zip(times(96), values, strict=True)]  # fmt: skip
    same(read_csv(written(tmp_path / "eia.csv", header, rows)), values)
    first = [row for row in rows if row[4].startswith(("10/27", "10/28"))]
    for row, v in zip(rows, values, strict=True):
        row[-1] = v / (1000 * POUND)  # as the service itself has it: pounds for each kWh
    found = read_csv(written(tmp_path / "eia.csv", header, rows))
    same(found, values)
    assert "lb/kWh is assumed" in found.remarks[0]
    small = datetime(2023, 2, 3, tzinfo=UTC)  # 2/3 and 2/4 could be in March and April
    for row, t in zip(first, times(len(first), small), strict=True):
        row[4] = f"{t + HOUR:%m/%d/%Y %I:%M:%S %p}"
    path = written(tmp_path / "eia.csv", header, first)
    assert read_csv(path).start == small


@pytest.mark.parametrize("start", [AUTUMN, SPRING])
@pytest.mark.parametrize("minutes", [15, 60])
def test_entso_e_over_the_clock_change(
    tmp_path: Path, rng: random.Random, start: datetime, minutes: int
):
    step = timedelta(minutes=minutes)
    values = drawn(rng, 3 * 24 * 60 // minutes)
    rows = []
    for t, v in zip(times(len(values), start, step), values, strict=True):
        begin, end = (f"{m.astimezone(PARIS):%d/%m/%Y %H:%M:%S}" for m in (t, t + step))
        rows.append([f"{begin} - {end}", "BZN|FR", v])
    path = written(tmp_path / "entsoe.csv", ["MTU (CET/CEST)", "Area", "Carbon"], rows)
    same(read_csv(path), values, start, step)
    path = written(tmp_path / "entsoe.csv", ["MTU (CET/CEST)", "Area", "Carbon"], rows[::-1])
    same(read_csv(path), values, start, step)


def test_the_hour_that_is_skipped_may_stand_empty(tmp_path: Path, rng: random.Random):
    local = datetime(2024, 3, 31)
    rows = [[f"{local + i * HOUR:%d/%m/%Y %H:%M} - {local + (i + 1) * HOUR:%d/%m/%Y %H:%M}", "FR",
             "n/e" if i == 2 else 100 + i] for i in range(24)]  # fmt: skip
    path = written(tmp_path / "spring.csv", ["MTU (CET/CEST)", "Area", "CO2 (g/kWh)"], rows)
    found = read_csv(path)
    assert found.sound().g_per_kwh.tolist() == [100, 101, *range(103, 124)]
    rows[2][2] = 999
    with pytest.raises(UsageError, match=r"line 4 .*the clocks skip that time"):
        read_csv(written(tmp_path / "spring.csv", ["MTU (CET/CEST)", "Area", "Carbon"], rows))


@pytest.mark.parametrize("start", [AUTUMN, SPRING])
@pytest.mark.parametrize("minutes", [5, 15, 30, 60])
@pytest.mark.parametrize("order", [1, -1, 0])
def test_local_times(tmp_path: Path, rng: random.Random, start: datetime, minutes: int, order: int):
    """Refused without their zone, though the header says UTC; read with it, in the order of the
    file, newest first or sorted."""
    step = timedelta(minutes=minutes)
    values = drawn(rng, 3 * 24 * 60 // minutes)
    rows = [[f"{t.astimezone(MADRID):%Y-%m-%d %H:%M}", v]
            for t, v in zip(times(len(values), start, step), values, strict=True)]  # fmt: skip
    rows = sorted(rows, key=lambda row: row[0]) if order == 0 else rows[::order]
    path = written(tmp_path / "local.csv", ["timestamp_utc", "gco2_per_kwh"], rows)
    with pytest.raises(UsageError, match="the clocks change") as caught:
        read_csv(path)
    assert "--timezone" in str(caught.value.hint)
    same(read_csv(path, Reading(timezone="europe/madrid")), values, start, step)
    with pytest.raises(UsageError, match="no time zone"):
        read_csv(path, Reading(timezone="Europe/Madird"))


def test_local_times_of_an_unknown_place(tmp_path: Path):
    rows = [[f"{t:%Y-%m-%dT%H:%M}", 100 + t.hour] for t in times(48)]
    path = written(tmp_path / "one.csv", ["time (local)", "carbon intensity"], rows)
    with pytest.raises(UsageError, match="are local"):
        read_csv(path)
    assert read_csv(path, Reading(timezone="+02:00")).start == AUTUMN - 2 * HOUR
    above = "latitude,utc_offset_seconds,timezone\n40.4,7200,Europe/Madrid\n\n"
    path.write_text(above + path.read_text().replace(" (local)", ""))
    with pytest.raises(UsageError, match="are local"):
        read_csv(path)


def test_what_names_no_zone_is_said_to_be_taken_for_utc(tmp_path: Path):
    rows = [[f"{t:%Y-%m-%d %H:%M}", 100] for t in times(24)]
    (remark,) = read_csv(written(tmp_path / "a.csv", ["time", "gco2_per_kwh"], rows)).remarks
    assert "UTC is assumed" in remark
    path = written(tmp_path / "b.csv", ["timestamp_utc", "gco2_per_kwh"], rows)
    assert read_csv(path).remarks == ()


SPELT: dict[str, Callable[[datetime], object]] = {
    "iso": lambda t: t.isoformat(),
    "offset": lambda t: t.astimezone(MADRID).isoformat(),
    "seconds": lambda t: int(t.timestamp()),
    "milliseconds": lambda t: int(t.timestamp() * 1000),
    "day first": lambda t: f"{t:%d/%m/%Y %H:%M}",
    "month first": lambda t: f"{t:%m/%d/%Y %I:%M %p}",
    "dots": lambda t: f"{t:%d.%m.%Y %H:%M}",
    "slashes": lambda t: f"{t:%Y/%m/%d %H:%M:%S}",
    "named": lambda t: f"{t:%Y-%m-%d %H:%M:%S} UTC",
    "summer": lambda t: f"{t + 2 * HOUR:%Y-%m-%d %H:%M} CEST",
    "span": lambda t: f"{t:%Y-%m-%dT%H:%MZ}/{t + HOUR:%Y-%m-%dT%H:%MZ}",
}


@pytest.mark.parametrize("name", SPELT)
def test_times_as_people_write_them(tmp_path: Path, rng: random.Random, name: str):
    values = drawn(rng, 40)
    rows = [[SPELT[name](t), v] for t, v in zip(times(40), values, strict=True)]
    same(read_csv(written(tmp_path / "t.csv", ["timestamp_utc", "gco2_per_kwh"], rows)), values)


def test_days_and_months_that_could_be_each_other(tmp_path: Path):
    """Days that follow each other say which is which; one day alone does not."""
    start = datetime(2023, 2, 1, tzinfo=UTC)
    for spelt in ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"):
        rows = [[f"{t:{spelt}}", 100] for t in times(72, start)]
        path = written(tmp_path / "d.csv", ["timestamp_utc", "gco2_per_kwh"], rows)
        assert read_csv(path).start == start
    path = written(tmp_path / "d.csv", ["timestamp_utc", "gco2_per_kwh"], rows[:20])
    with pytest.raises(UsageError, match="in doubt: '02/01/2023' may have the day first"):
        read_csv(path)


def base(rng: random.Random) -> tuple[list[float], str]:
    values = drawn(rng, 48)
    lines = [f"{t:%Y-%m-%dT%H:%MZ},{v}" for t, v in zip(times(48), values, strict=True)]
    return values, "\n".join(["timestamp_utc,gco2_per_kwh", *lines]) + "\n"


WAYS: dict[str, Callable[[str], bytes]] = {
    "mark and carriage returns": lambda s: ("\ufeff" + s.replace("\n", "\r\n")).encode(),
    "utf-16": lambda s: s.encode("utf-16"),
    "utf-16 without a mark": lambda s: s.encode("utf-16-be"),
    "gzip": lambda s: gzip.compress(s.encode()),
    "semicolons": lambda s: s.replace(",", ";").replace(".", ",").encode(),
    "semicolons, and decimal dots": lambda s: s.replace(",", ";").encode(),
    "tabs": lambda s: s.replace(",", "\t").encode(),
    "quotes": lambda s: "\n".join(
        ",".join(f'"{c}"' for c in line.split(",")) for line in s.split("\n") if line
    ).encode(),
    "newest first": lambda s: "\n".join([s.split("\n")[0], *s.split("\n")[-2:0:-1]]).encode(),
    "case": lambda s: s.replace("timestamp_utc,gco2", "Timestamp_UTC,gCO2", 1).encode(),
    "spaces": lambda s: s.replace(",", " ,  ").encode(),
    "remarks": lambda s: ("# downloaded, time 12\n\nReport of the grid\n" + s).encode(),
    "blank lines": lambda s: (s + "\n\n,\n  ,  \n").encode(),
    "sums": lambda s: (s + "Total,12345\nAverage,257.2\n").encode(),
    "old letters": lambda s: s.replace("\n", ",España\n").replace(",España", ",name", 1).encode(
        "latin-1"
    ),
    "other names": lambda s: s.replace("timestamp_utc,gco2_per_kwh", "Date Time (UTC),CI (g CO2e per kWh)").encode(),  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_spreadsheets_ways_of_writing(tmp_path: Path, rng: random.Random, way: str):
    values, text = base(rng)
    path = tmp_path / "grid.csv"
    path.write_bytes(WAYS[way](text))
    same(read_csv(path), values)


def test_sums_are_told_of(tmp_path: Path, rng: random.Random):
    path = tmp_path / "grid.csv"
    path.write_text(base(rng)[1] + "Total,12345\n")
    assert "line 50 of" in read_csv(path).remarks[0]


ALIEN = {b"PK\x03\x04rest": "Excel", b"PAR1xxxx": "Parquet", b"<html></html>": "web page"}


@pytest.mark.parametrize("data", ALIEN)
def test_other_formats_are_named(tmp_path: Path, data: bytes):
    (tmp_path / "grid.csv").write_bytes(data)
    with pytest.raises(UsageError, match=ALIEN[data]):
        read_csv(tmp_path / "grid.csv")


@pytest.mark.parametrize("unit", UNITS)
def test_units(tmp_path: Path, rng: random.Random, unit: str):
    """In the header, or as the user says it."""
    by_hand = {"g": 1.0, "kg": 1000.0, "t": 1e6, "mg": 1e-3, "lb": POUND * 1000}
    mass, energy = unit.split("/")
    factor = by_hand[mass] / {"kWh": 1, "MWh": 1000}[energy]
    values = drawn(rng, 24)
    rows = [[t.isoformat(), v / factor] for t, v in zip(times(24), values, strict=True)]
    path = written(tmp_path / "u.csv", ["time", f"CO2 intensity ({mass}CO2eq/{energy})"], rows)
    same(read_csv(path), values)
    path = written(tmp_path / "u.csv", ["time", "CO2 intensity"], rows)
    same(read_csv(path, Reading(unit=unit.lower())), values)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("gco2 per kwh", "g/kWh"), ("carbon intensity gco2eq/kwh (lca)", "g/kWh"), ("mwh", None),
     ("lbs/mwh", "lb/MWh"), ("tonnes co2 per mwh", "t/MWh"), ("kg co2e/mwh", "kg/MWh"),
     ("moer", None), ("demand (mw)", None), ("average tonight/kwh", None)],
)  # fmt: skip
def test_units_in_names(name: str, unit: str | None):
    assert unit_in(name) == unit


def test_no_unit(tmp_path: Path, rng: random.Random):
    path = tmp_path / "g.csv"
    path.write_text(base(rng)[1])
    with pytest.raises(UsageError, match="'stone/kWh' is no unit"):
        read_csv(path, Reading(unit="stone/kWh"))
    rows = [[t.isoformat(), v / 1000] for t, v in zip(times(24), drawn(rng, 24), strict=True)]
    with pytest.raises(UsageError, match="not g/kWh \\(kg or t") as caught:
        read_csv(written(path, ["timestamp_utc", "gco2_per_kwh"], rows))
    assert "--unit" in str(caught.value.hint)


def test_clean_grids_are_no_tonnes(tmp_path: Path):
    """Norway's and Sweden's chimneys: a few grams."""
    rows = [[t.isoformat(), 2.54] for t in times(24)]
    path = written(tmp_path / "g.csv", ["timestamp_utc", "gco2_per_kwh"], rows)
    assert read_csv(path).sound().g_per_kwh[0] == 2.54


@pytest.mark.parametrize(
    ("cells", "delimiter", "values"),
    [
        (["90,82", "100"], ";", [90.82, 100]),
        (["1,090.82", "90.5"], ",", [1090.82, 90.5]),
        (["1,090", "1,205"], ",", [1090, 1205]),
        (["1.090,82", "90,5"], ";", [1090.82, 90.5]),
        (["1 090,5", "90"], ";", [1090.5, 90]),
        (["90,5", "1e2"], ",", [90.5, 100]),
        (["N/A", "", "nan", "-"], ",", [None] * 4),
    ],
)
def test_numbers(cells: list[str], delimiter: str, values: list[float | None]):
    comma = decimal_comma(cells, delimiter)
    assert [number(cell, comma) for cell in cells] == values


def test_decimal_commas_that_divide_columns_too_are_named(tmp_path: Path):
    lines = [f"{t.isoformat()},90,82" for t in times(24)]
    (tmp_path / "g.csv").write_text("\n".join(["timestamp_utc,gco2_per_kwh", *lines]))
    with pytest.raises(UsageError, match=r"line 2 .* has 3 cells, the header 2"):
        read_csv(tmp_path / "g.csv")


HOLES = {
    "": "line 32 is empty",
    "N/A": "line 32 has 'N/A'",
    "nan": "line 32 has 'nan'",
    "0": "line 32 has 0, which counts as a gap",
    "-3": "line 32 has -3, and no intensity is negative",
    "99999": "line 32 has 99999, more than any grid emits",
    "high": "line 32 has 'high', which is not a number",
    None: "there is no row for it, after line 31",
    "twice": "lines 32 and 33 each have one",
}


@pytest.mark.parametrize("cell", HOLES)
def test_a_hole_hinders_where_it_is_needed(tmp_path: Path, rng: random.Random, cell: str | None):
    values, text = base(rng)
    lines = text.split("\n")
    when, _ = lines[31].split(",")
    lines[31:32] = (
        [f"{when},5.5", f"{when},6.5"] if cell == "twice" else
        [] if cell is None else [f"{when},{cell}"]
    )  # fmt: skip
    (tmp_path / "g.csv").write_text("\n".join(lines))
    found = read_csv(tmp_path / "g.csv")
    assert found.sound(AUTUMN, AUTUMN + 30 * HOUR).g_per_kwh.tolist() == values[:30]
    assert found.sound(AUTUMN + 31 * HOUR).g_per_kwh.tolist() == values[31:]
    with pytest.raises(UsageError) as caught:
        found.sound(AUTUMN + 29 * HOUR, AUTUMN + 33 * HOUR)
    assert "no value for 2023-10-28T06:00Z" in caught.value.message
    assert HOLES[cell] in caught.value.message
    assert "--fill 1" in str(caught.value.hint)
    (remark,) = found.remarks
    assert remark.startswith("1 of 48 steps")
    assert HOLES[cell] in remark
    filled = read_csv(tmp_path / "g.csv", Reading(fill=1))
    assert filled.sound().g_per_kwh[30] == pytest.approx((values[29] + values[31]) / 2)
    assert filled.label.origin.endswith("1 of 48 steps filled in")


def test_only_short_holes_are_filled(tmp_path: Path, rng: random.Random):
    values, text = base(rng)
    lines = text.split("\n")
    del lines[20:23]
    (tmp_path / "g.csv").write_text("\n".join(lines))
    with pytest.raises(UsageError, match="nor for 2 other steps") as caught:
        read_csv(tmp_path / "g.csv", Reading(fill=2)).sound()
    assert "--fill 3" in str(caught.value.hint)
    found = read_csv(tmp_path / "g.csv", Reading(fill=3)).sound().g_per_kwh
    line = np.interp([1, 2, 3], [0, 4], [values[18], values[22]])
    assert found[19:22] == pytest.approx(line)


def test_zeros_that_are_real(tmp_path: Path):
    rows = [[t.isoformat(), 0 if t.hour == 3 else 50] for t in times(24)]
    path = written(tmp_path / "g.csv", ["timestamp_utc", "gco2_per_kwh"], rows)
    with pytest.raises(UsageError, match="--zeros"):
        read_csv(path).sound()
    assert read_csv(path, Reading(zeros=True)).sound().g_per_kwh.min() == 0


def test_a_row_that_stands_twice_is_said(tmp_path: Path, rng: random.Random):
    values, text = base(rng)
    lines = text.split("\n")
    lines.insert(20, lines[20])
    (tmp_path / "g.csv").write_text("\n".join(lines))
    found = read_csv(tmp_path / "g.csv")
    same(found, values)
    assert found.remarks[0].endswith("alike: lines 21 and 22, 2023-10-27T19:00Z")


def test_dates_and_times_of_day_in_two_columns(tmp_path: Path, rng: random.Random):
    values = drawn(rng)
    for date, clock in (("Date", "Heures"), ("Datum", "Uhrzeit"), ("Date", "Time")):
        rows = [[f"{t:%d.%m.%Y}", f"{t:%H:%M}", v]
                for t, v in zip(times(96), values, strict=True)]  # fmt: skip
        header = [date, clock, "Taux de CO2 (g/kWh)"]
        path = written(tmp_path / "two.csv", header, rows, ";")
        same(read_csv(path, Reading(timezone="UTC")), values)


def test_too_coarse(tmp_path: Path):
    rows = [[f"2023/10/{day}", "NSW1", 0.66] for day in range(10, 20)]
    path = written(tmp_path / "d.csv", ["SETTLEMENTDATE", "REGIONID", "CO2E_INTENSITY_INDEX"], rows)
    with pytest.raises(UsageError, match=r"24 h apart and .* about 0.66, which is not g/kWh"):
        read_csv(path)


def test_several_intensities_are_named(tmp_path: Path):
    rows = [[t.isoformat(), 100, 120, "x"] for t in times(24)]
    path = written(tmp_path / "s.csv", ["time", "co2 north", "co2 south", "remark"], rows)
    with pytest.raises(UsageError, match="several intensities: 'co2 north', 'co2 south'"):
        read_csv(path)
    assert read_csv(path, Reading(column="CO2 South")).sound().g_per_kwh[0] == 120
    with pytest.raises(UsageError, match=r"mostly no number: line 2 of .* has 'x'"):
        read_csv(path, Reading(column="remark"))


def test_a_time_far_off_is_no_memory(tmp_path: Path, rng: random.Random):
    path = tmp_path / "g.csv"
    path.write_text(base(rng)[1].replace("2023-10-28T20:00Z", "1970-01-01T00:00:01Z"))
    with pytest.raises(UsageError, match="does not fit"):
        read_csv(path)
    rows = [[(AUTUMN + timedelta(seconds=i)).isoformat(), 100] for i in range(9)]
    rows.append([datetime(1990, 1, 1, tzinfo=UTC).isoformat(), 100])
    with pytest.raises(UsageError, match="too many"):
        read_csv(written(path, ["timestamp_utc", "gco2_per_kwh"], rows))


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_read_or_refused_in_a_sentence(tmp_path: Path, seed: int):
    rng = random.Random(seed)
    way = rng.choice(list(WAYS.values()))
    data = bytearray(way(base(rng)[1]))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = rng.choice([b"", b"\0", b",", b'"', b"\n", b";", b"9", b"\xff"])  # fmt: skip  # noqa: E501
    path = tmp_path / "grid.csv"
    path.write_bytes(data)
    told = ""
    try:
        assert len(read_csv(path).g_per_kwh) <= 2_000_000
    except UsageError as error:
        told = error.message
    assert len(told) < 500
    assert "Errno" not in told
