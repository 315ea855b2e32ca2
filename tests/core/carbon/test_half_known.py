"""Parts that no meter reads, in whatever words; and records whose source gave out half-way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.sources import FromFile
from dln.core.carbon.meter import recorder
from dln.core.carbon.meter.emissions import NAME, Emissions, Interval
from dln.core.carbon.meter.meter import Energy, counted
from dln.core.carbon.meter.recorder import Account, Place, Recorder
from dln.core.carbon.report.card import block
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.report.told import power_words
from dln.core.carbon.values import Label, Series

START = datetime(2024, 6, 1, tzinfo=UTC)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
GRID = Series(START, timedelta(hours=1), np.array([400.0, 300.0]), LABEL)


class Hidden:
    """Two GPUs, none of which CUDA_VISIBLE_DEVICES shows."""

    gpu_ids, num_gpus = (), 2


class OneWattHour:
    """A meter of a watt-hour a reading."""

    problem, lag = None, 0.0
    scopes: tuple[str, ...] = ()

    def __init__(self, scope: str) -> None:
        OneWattHour.scopes += (scope,)
        self.power, self.reads = {"ram": "estimated (its use)"}, 0

    def read(self) -> Energy:
        self.reads += 1
        return Energy(ram=0.001 * self.reads)

    def close(self) -> None: ...


def test_hidden_gpus_are_no_part_of_what_was_measured():
    how = counted(Hidden(), "")
    power = {"cpu": "measured (RAPL)", "gpu": how}
    run = Emissions("a", START, (Interval(START, 3600, 1.0),), power, 1.0, "DE", "csv", GRID)
    table = report([Subject("a", run)], [])
    assert "of 2" in how
    assert power_words(table["runs"][0]) == "CPU measured (RAPL)"
    card = block(table)
    assert card
    assert 'hardware_used: "CPU"' in card


@pytest.mark.parametrize("scope", ["machine", "process"])
def test_a_recorder_meters_what_its_account_says(monkeypatch, tmp_path: Path, scope):
    monkeypatch.setattr(recorder, "Meter", OneWattHour)
    monkeypatch.setattr(OneWattHour, "scopes", ())
    found = Recorder(tmp_path / NAME, "job", None, account=Account(scope))
    assert (OneWattHour.scopes, found.record.scope) == ((scope,), scope)


def test_a_source_that_ends_in_mid_run_is_none_of_the_record(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(recorder, "Meter", OneWattHour)
    moment = [START]
    kept = Recorder(tmp_path / NAME, "job", Place(None, FromFile(GRID)), now=lambda: moment[0])
    for hours, source, known in ((1, "csv", True), (3, None, False)):
        moment[0] = START + timedelta(hours=hours)
        kept.mark()
        found = kept.save()
        assert (found.source, found.intensity is not None) == (source, known)
    assert kept.problem
    assert Emissions.load(tmp_path).kwh == pytest.approx(0.002)
