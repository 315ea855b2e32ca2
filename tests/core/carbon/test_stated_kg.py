"""Machines of which the user states the kg: a mass wherever they are named, and no hardware."""

from datetime import UTC, datetime

import numpy as np
import pytest

from dln.core.carbon.costs.embodied import machines
from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.report.card import block
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.report.told import facts, paragraph
from dln.core.carbon.values import Label, Series

START = datetime(2024, 6, 1, tzinfo=UTC)
GRID = Series(START, datetime(2024, 6, 2, tzinfo=UTC) - START, np.array([400.0]),
              Label("average", "life-cycle", "2024", "a test", "measured"))  # fmt: skip
RUN = Emissions("a", START, (Interval(START, 7200, 1.0),), {"cpu": "measured (RAPL)"}, 1.0, "DE",
                "csv", GRID)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "named", "hardware"),
    [
        ("1500", "1.5 t CO2e", "CPU"),
        ("0.25", "250 g CO2e", "CPU"),
        ("2xH100", "2xH100", "2xH100"),
    ],
)
def test_it_is_named(spec: str, named: str, hardware: str):
    table = report([Subject("a", RUN, machines(spec))], [])
    run = table["runs"][0]
    assert f"the share of {named} for 2 hours" in dict(facts(run))["making the machines"]
    assert f"Making the machines ({named}) adds" in paragraph(run, "dln")
    assert f'hardware_used: "{hardware}"' in (block(table) or "")
