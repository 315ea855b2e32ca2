"""What a file says of its numbers beside them, or in a unit that is none of intensity."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dln.core.carbon.grid.dialects import Reading
from dln.core.carbon.grid.series import read_csv
from dln.core.errors import UsageError

START, HOUR = datetime(2024, 2, 3, tzinfo=UTC), timedelta(hours=1)
POUND = 0.45359237  # kg


def drawn(count: int = 60) -> list[float]:
    rng = random.Random(count)
    return [round(rng.uniform(90, 700), 3) for _ in range(count)]


def table(path: Path, header: str, line: Callable[[datetime, float], str]) -> list[float]:
    """Writes a row for each drawn value, which are returned."""
    values = drawn()
    rows = [line(START + i * HOUR, value) for i, value in enumerate(values)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return values


def answer(path: Path, wrapped: Callable[[list[dict[str, Any]]], Any], **more: Any) -> list[float]:
    """Writes the drawn values as a service's JSON does."""
    values = drawn()
    records = [{"point_time": (START + i * HOUR).isoformat(), "value": value, **more}
               for i, value in enumerate(values)]  # fmt: skip
    path.write_text(json.dumps(wrapped(records)), encoding="utf-8")
    return values


@pytest.mark.parametrize(("kind", "signal"), [("co2_aoer", "average"), ("co2_moer", "marginal")])
@pytest.mark.parametrize("wrapped", [True, False])
def test_what_a_signal_type_says(tmp_path: Path, kind: str, signal: str, wrapped: bool):
    path = tmp_path / "g.json"
    said = {"signal_type": kind, "units": "lbs_co2_per_mwh"}
    values = (answer(path, lambda rows: {"data": rows, "meta": said}) if wrapped
              else answer(path, lambda rows: rows, **said))  # fmt: skip
    hours = read_csv(path)
    assert (hours.label.signal, hours.label.factors) == (signal, "direct")
    assert hours.g_per_kwh.tolist() == pytest.approx([POUND * value for value in values])


def test_a_unit_of_another_thing_in_a_column_of_units(tmp_path: Path):
    path = tmp_path / "g.json"
    answer(
        path,
        lambda rows: {
            "data": rows,
            "meta": {"signal_type": "health_damage", "units": "usd_per_mwh"},
        },
    )
    with pytest.raises(UsageError, match="no unit of intensity: 'usd per mwh'"):
        read_csv(path)


@pytest.mark.parametrize(("factor", "label"), [("lifecycle", "life-cycle"), ("direct", "direct")])
def test_the_factors_stand_in_every_record(tmp_path: Path, factor: str, label: str):
    path = tmp_path / "g.json"
    values = answer(path, lambda rows: {"zone": "XX", "history": [
        {"datetime": each["point_time"], "carbonIntensity": each["value"],
         "emissionFactorType": factor} for each in rows]})  # fmt: skip
    hours = read_csv(path)
    assert (hours.label.factors, hours.label.kind) == (label, "measured")
    assert hours.g_per_kwh.tolist() == values


def test_two_kinds_in_one_file(tmp_path: Path):
    path = tmp_path / "g.csv"
    table(
        path,
        "datetime,carbonIntensity,emissionFactorType",
        lambda time, value: f"{time.isoformat()},{value},{'direct' if time.hour else 'lifecycle'}",
    )
    with pytest.raises(UsageError, match="not the same in all rows: direct, lifecycle"):
        read_csv(path)


def test_a_list_of_forecasts(tmp_path: Path):
    path = tmp_path / "g.json"
    answer(
        path,
        lambda rows: {
            "forecast": [
                {"datetime": each["point_time"], "carbonIntensity": each["value"]} for each in rows
            ]
        },
    )
    assert read_csv(path).label.kind == "forecast"


def test_records_within_two_objects(tmp_path: Path):
    path = tmp_path / "g.json"
    values = answer(
        path,
        lambda rows: {
            "data": {
                "regionid": 7,
                "shortname": "A",
                "data": [
                    {"from": each["point_time"], "intensity": {"forecast": each["value"]}}
                    for each in rows
                ],
            }
        },
    )
    assert read_csv(path).g_per_kwh.tolist() == values


@pytest.mark.parametrize(
    ("name", "factor"),
    [("marginal_emissions_lbs_mwh", POUND), ("pounds CO2 per megawatt-hour", POUND),
     ("metric tons CO2/MWh", 1000.0), ("gCO2kWh", 1.0), ("g CO2 pro kWh", 1.0),
     ("kgCO2 per MWhe", 1.0)],
)  # fmt: skip
def test_units_written_otherwise(tmp_path: Path, name: str, factor: float):
    path = tmp_path / "g.csv"
    values = table(path, f"time,{name}", lambda t, v: f"{t.isoformat()},{v / factor}")
    assert read_csv(path).g_per_kwh.tolist() == pytest.approx(values)


@pytest.mark.parametrize(
    "name", ["emissions_kg", "CO2 (t)", "CO2 mTH", "co2_tonnes", "carbon intensity (g/MJ)",
             "CO2 emissions (lb/hour)", "intensity [short tons/MWh]"],
)  # fmt: skip
def test_a_mass_is_no_intensity(tmp_path: Path, name: str):
    path = tmp_path / "g.csv"
    values = table(path, f"time,{name}", lambda t, v: f"{t.isoformat()},{v}")
    with pytest.raises(UsageError, match="names no unit of intensity"):
        read_csv(path)
    assert read_csv(path, Reading(unit="g/kWh")).g_per_kwh.tolist() == values


@pytest.mark.parametrize("name", ["renewable_percent", "CFE (%)", "Price EUR/MWh", "demand (MW)"])
def test_a_column_asked_for_that_is_none(tmp_path: Path, name: str):
    path = tmp_path / "g.csv"
    table(path, f"time,{name},carbon_intensity", lambda t, v: f"{t.isoformat()},{v / 10},{v}")
    with pytest.raises(UsageError, match="names no unit of intensity"):
        read_csv(path, Reading(column=name))


def test_a_mistyped_zone_beside_times_that_need_none(tmp_path: Path):
    path = tmp_path / "g.csv"
    table(path, "time,carbon_intensity", lambda t, v: f"{t.isoformat()},{v}")
    with pytest.raises(UsageError, match="'Europe/Madird' is no time zone"):
        read_csv(path, Reading(timezone="Europe/Madird"))


def test_an_intensity_beside_a_mass(tmp_path: Path):
    path = tmp_path / "g.csv"
    values = table(path, "time,co2_kg,ci", lambda t, v: f"{t.isoformat()},{9 * v},{v}")
    assert read_csv(path).g_per_kwh.tolist() == values


ZONES = ["Zone name", "Country", "BA Code", "Bidding zone", "Price area", "Region name"]


@pytest.mark.parametrize("name", [*ZONES, "Netz"])
def test_zones_by_other_names(tmp_path: Path, name: str):
    path = tmp_path / "g.csv"
    values = table(path, f"time,{name},gco2_per_kwh",
                   lambda t, v: "\n".join(f"{t.isoformat()},{zone},{v + more}"
                                          for zone, more in (("A B", 0), ("C D", 1))))  # fmt: skip
    assert read_csv(path, Reading(zone="a b")).g_per_kwh.tolist() == values
    told = (
        "several values for the same time, as lines 2 and 3" if name == "Netz" else "several zone"
    )
    with pytest.raises(UsageError, match=told) as refused:
        read_csv(path)
    assert "--zone" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("header", "written"),
    [("Date,Hour", "%Y-%m-%d,%-H"), ("Date,Start,End", "%m/%d/%Y,%H:%M,00:00"),
     ("Datum;Anfang;Ende", "%d.%m.%Y;%H:%M;00:00"), ("date,from", "%Y-%m-%d,%FT%H:%MZ"),
     ("Date;Heure;Date et Heure", "%Y-%m-%d;09:00;%FT%H:00+00:00")],
)  # fmt: skip
def test_date_and_hour_in_two_columns(tmp_path: Path, header: str, written: str):
    path, mark = tmp_path / "g.csv", ";" if ";" in header else ","
    values = table(path, f"{header}{mark}carbon_intensity",
                   lambda t, v: f"{t.strftime(written)}{mark}{v}")  # fmt: skip
    hours = read_csv(path, Reading(timezone="UTC"))
    assert (hours.start, hours.g_per_kwh.tolist()) == (START, values)


def test_hours_numbered_from_one(tmp_path: Path):
    path = tmp_path / "g.csv"
    values = table(path, "Date,Hour Ending,carbon_intensity",
                   lambda t, v: f"{t:%m/%d/%Y},{t.hour + 1},{v}")  # fmt: skip
    hours = read_csv(path)
    assert (hours.start, hours.g_per_kwh.tolist()) == (START, values)
