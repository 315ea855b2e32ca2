"""What a report says of a run that no meter read, in part or at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.report.page import html, markdown
from dln.core.carbon.report.report import COUNTED, Subject, report, totals
from dln.core.carbon.report.seal import sealed
from dln.core.carbon.report.told import facts, headline, latex, paragraph
from dln.core.carbon.values import Label, Series

START = datetime(2024, 6, 1, tzinfo=UTC)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
RUN = Emissions("a", START, (Interval(START, 7200, 1.0),), {"cpu": "measured (RAPL)"}, 1.0, "DE",
                "csv", Series(START, timedelta(hours=1), np.array([400.0] * 2), LABEL))  # fmt: skip
UNKNOWN = ("energy_kwh", "emissions_kg", "at_once_emissions_kg", "saving_percent", "equivalents",
           "intensity_g_per_kwh")  # fmt: skip


def unmeasured(**more: Any) -> dict[str, Any]:
    """A report of a run whose meter told nothing."""
    run = report([Subject("a", RUN)], [])["runs"][0]
    run |= {**dict.fromkeys(UNKNOWN), "power": {}, "comparison": [], **more}
    return sealed({"made_with": "dln", "counted": COUNTED, "runs": [run], "totals": totals([run])})


def test_nothing_measured_is_not_zero():
    table = unmeasured(not_measured_seconds=7200.0)
    assert headline(table) == ["Energy was not measured, so that it is not known what was emitted."]
    told = dict(facts(table["runs"][0]))
    assert told["energy used"] == told["emitted"] == told["power"] == "not measured"
    assert told["no meter for"] == "2 hours"
    assert r"a & 2 hours & not measured & -- & -- \\" in latex(table["runs"])
    for text in (markdown(table), html(table, [b""], None), paragraph(table["runs"][0], "dln")):
        assert "not measured" in text
        assert "0 kWh" not in text
        assert "None" not in text


def test_a_share_of_a_machine_is_said_to_be():
    run = report([Subject("a", RUN)], [])["runs"][0]
    assert dict(facts(run))["energy used"] == "1 kWh of the machine"
    run |= {"scope": "process", "not_measured_seconds": 600.0}
    assert dict(facts(run))["energy used"] == "1 kWh of the run's own processes"
    assert dict(facts(run))["no meter for"].startswith("10 minutes, counted at the mean power")


def test_a_file_of_intensities_needs_no_place():
    run = report([Subject("a", replace(RUN, region=None))], [])["runs"][0]
    assert run["emissions_kg"] == pytest.approx(0.4)
    told = paragraph(run, "dln")
    assert "in 2 hours. At a mean of 400 g CO2e/kWh" in told
    assert "None" not in told + str(facts(run))


@pytest.mark.parametrize(("paused", "text"), [(0.0, "did not wait"), (60.0, "saved nothing")])
def test_waiting_that_changed_nothing(paused: float, text: str):
    table = report([Subject("a", RUN)], [])
    table["runs"][0]["paused_seconds"] = paused
    assert any(text in sentence for sentence in headline(table))
