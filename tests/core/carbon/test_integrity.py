"""A report that somebody changed: by accident, carelessly, or with a new checksum."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from dln.core.carbon.costs.embodied import Work, machines
from dln.core.carbon.grid.sources import open_source
from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.places.regions import find
from dln.core.carbon.report.integrity import verify
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.values import Label, Series

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARE = Emissions(
    "a run",
    START,
    (Interval(START, 3600, 1.0, 2.0, 0.5), Interval(START + HOUR, 3600, 0.5, 1.0, 0.5)),
    {"cpu": "estimated (rated power and load)", "gpu": "measured (its own counter)"},
    1.5,
    market_g_per_kwh=12.5,
)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
OF_FILE = replace(
    BARE, region="DE", source="csv", intensity=Series(START, HOUR, np.array([400.0, 100.0]), LABEL)
)


def placed(source: str, region: str = "DE") -> Emissions:
    return BARE.placed(find(region), open_source(source, find(region)))


def written(*runs: Emissions) -> dict[str, Any]:
    """A report as its file has it."""
    made, done = machines("8xH100"), Work(500, "step")
    subjects = [Subject(f"run {i}", run, made, done) for i, run in enumerate(runs)]
    return json.loads(json.dumps(report(subjects, [find("norway"), find("poland")])))


def check(table: dict[str, Any]) -> list[str]:
    return verify(json.dumps(table)).wrong


def resealed(table: dict[str, Any]) -> dict[str, Any]:
    """With a checksum by the documented rule: sorted keys, no spaces, ASCII."""
    rest = {key: table[key] for key in table if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return rest | {"sha256": sha256(text.encode("ascii")).hexdigest()}


@pytest.mark.parametrize("source", ["annual", "typical"])
def test_what_was_written_is_right(source: str):
    table = written(placed(source), OF_FILE)
    assert check(table) == []
    assert resealed(table) == table
    assert verify(json.dumps(table, indent=7, sort_keys=True)).wrong == []


def intensity(run: dict[str, Any]) -> None:
    """Half the intensity, and every mass to match."""
    run["intensity"]["g_per_kwh"] = [value / 2 for value in run["intensity"]["g_per_kwh"]]
    for name in ("emissions_kg", "at_once_emissions_kg", "intensity_g_per_kwh"):
        run[name] /= 2
    run["equivalents"] = {name: value / 2 for name, value in run["equivalents"].items()}


def row(run: dict[str, Any]) -> None:
    """A cleaner Poland, and its masses to match."""
    for name in run["comparison"][-1]:
        if name.startswith(("intensity", "emissions")):
            run["comparison"][-1][name] /= 10


Change = Callable[[dict[str, Any]], object]
INPUTS: dict[str, Change] = {
    "signal": lambda r: r["intensity"]["label"].update(signal="marginal"),
    "power": lambda r: r["power"].update(cpu="measured (RAPL)"),
    "energy": lambda r: r["intervals"][0].update(cpu_kwh=0.1),
    "what": lambda r: r.update(what="another run"),
    "name": lambda r: r.update(name="another"),
    "submitted": lambda r: r.update(submitted="2024-06-01T11:00:00+00:00"),
    "source": lambda r: r.update(source="gb"),
    "market": lambda r: r.update(market_g_per_kwh=0.0),
    "machines": lambda r: r["embodied"].update(machines="H100"),
    "units": lambda r: r["sci"].update(units=1000.0),
    "a row left out": lambda r: r["comparison"].pop(),
    "intervals' order": lambda r: r["intervals"].reverse(),
}
MADE: dict[str, Change] = {
    "rows' order": lambda r: r["comparison"].reverse(),
    "region": lambda r: r.update(region="NO", region_name="Norway"),
    "region's name": lambda r: r.update(region_name="Norway"),
    "a row's label": lambda r: r["comparison"][0]["label"].update(year="2030"),
    "a row": row,
    "intensity": intensity,
    "making": lambda r: r["embodied"].update(embodied_kg=0.0),
    "SCI": lambda r: r["sci"].update(sci_kg_per_unit_high=9.0),
    "market's mass": lambda r: r.update(market_kg=0.0),
    "an entry more": lambda r: r.update(offset_kg=5.0),
}


@pytest.mark.parametrize("change", [*INPUTS.values(), *MADE.values()], ids=[*INPUTS, *MADE])
@pytest.mark.parametrize("source", ["annual", "csv"])
def test_what_was_changed_is_found(change: Change, source: str):
    table = written(OF_FILE if source == "csv" else placed(source))
    change(table["runs"][0])
    assert any("checksum" in line for line in check(table))


@pytest.mark.parametrize("change", MADE.values(), ids=MADE)
@pytest.mark.parametrize("source", ["annual", "typical"])
def test_a_new_checksum_hides_nothing_that_is_made_again(change: Change, source: str):
    table = written(placed(source))
    change(table["runs"][0])
    table["totals"] |= {name: table["runs"][0][name] for name in ("emissions_kg", "market_kg")}
    assert check(resealed(table))


@pytest.mark.parametrize("name", ["counted", "made_with", "sha256", "schema", "totals"])
def test_the_rest_of_it(name: str):
    table = written(OF_FILE)
    table[name] = 1 if name == "schema" else {} if name == "totals" else "x"
    assert check(table)
    if name == "sha256":
        del table[name]
        assert check(table)


def test_what_cannot_be_made_again_is_said():
    verdict = verify(json.dumps(written(OF_FILE, placed("annual"))))
    assert verdict.wrong == []
    assert verdict.notes == ["run 0: intensities of csv, as recorded"]


def test_statistics_of_another_version_are_no_lie():
    run = placed("annual", "norway")
    assert run.intensity
    label = replace(run.intensity.label, origin="codecarbon 3.0.0: Our World in Data")
    older = replace(run, intensity=replace(run.intensity, label=label))
    verdict = verify(json.dumps(written(older)))
    assert verdict.wrong == []
    assert "codecarbon 3.0.0" in verdict.notes[0]


def test_a_place_that_there_is_not():
    table = written(OF_FILE)
    table["runs"][0]["comparison"][0]["region"] = "atlantis"
    assert any("no region 'atlantis'" in line for line in check(resealed(table)))
