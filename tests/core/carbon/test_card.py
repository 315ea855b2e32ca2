"""The block of a model card's metadata, as a YAML parser and the Hub's own library read it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core.carbon.costs.embodied import machines
from dln.core.carbon.meter.emissions import Emissions, Interval
from dln.core.carbon.report.card import block
from dln.core.carbon.report.page import CARD, write
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.values import Label, Series

START = datetime(2024, 6, 1, tzinfo=UTC)
GRID = Series(START, timedelta(hours=1), np.array([400.0]),
              Label("average", "life-cycle", "2024", "a test", "measured"))  # fmt: skip
RUN = Emissions("a", START, (Interval(START, 3600, 1.0, 2.0),), {"gpu": "measured", "ram": "none"},
                1.5, "DE", "csv", GRID)  # fmt: skip


def table(run: Emissions, *more: Subject) -> dict[str, Any]:
    return report([Subject("a", run), *more], [])


def parsed(text: str | None) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text)["co2_eq_emissions"]


def test_grams_of_the_grid():
    found = parsed(block(table(RUN), "fine-tuning"))
    assert found["emissions"] == 1.5 * 3 * 400
    assert found["training_type"] == "fine-tuning"
    assert found["geographical_location"] == "Germany (DE)"
    assert found["hardware_used"] == "GPU"
    assert "location-based" in found["source"]
    twice = table(RUN, Subject("b", RUN, machines("8xH100")))
    assert parsed(block(twice))["emissions"] == 2 * 1800
    assert parsed(block(twice))["hardware_used"] == "GPU; 8xH100"
    assert "training_type" not in parsed(block(twice))


@pytest.mark.parametrize("kwh", [1e-12, 3.3e-7, 1.0, 7e8])
def test_grams_are_a_number(kwh: float):
    run = replace(RUN, intervals=(Interval(START, 3600, kwh),))
    found = parsed(block(table(run)))["emissions"]
    assert isinstance(found, int | float)
    assert found == pytest.approx(1.5 * kwh * 400, rel=1e-3)


def test_what_is_stated_alone_is_said_to_be():
    nowhere = replace(RUN, region=None, source=None, intensity=None)
    assert block(table(nowhere)) is None
    found = parsed(block(table(replace(nowhere, market_g_per_kwh=10.0))))
    assert found["emissions"] == 45
    assert "market-based, as stated by the user" in found["source"]


def test_no_card_stays_of_a_report_that_has_none(tmp_path: Path):
    write(tmp_path, table(RUN), [RUN])
    assert (tmp_path / CARD).is_file()
    nowhere = replace(RUN, region=None, source=None, intensity=None)
    write(tmp_path, table(nowhere), [nowhere])
    assert not (tmp_path / CARD).exists()


def test_a_name_does_not_leave_its_line():
    odd = replace(machines("server"), spec='x"\n  emissions: 0 # \u2028')
    found = parsed(block(report([Subject("a", RUN, odd)], [])))
    assert found["emissions"] == 1800
    assert found["hardware_used"] == odd.spec


def test_the_hub_reads_it():
    hub = pytest.importorskip("huggingface_hub")
    text = block(table(RUN), "pre-training")
    card = hub.ModelCard(f"---\n{text}license: mit\n---\n# A model\n")
    assert card.data.co2_eq_emissions["emissions"] == 1800
