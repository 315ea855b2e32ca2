"""Runs of which something is not known, beside runs of which all is; and records of before."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core.carbon.meter.emissions import NAME, Emissions, Interval
from dln.core.carbon.meter.meter import Energy
from dln.core.carbon.meter.recorder import Recorder
from dln.core.carbon.report.integrity import verify
from dln.core.carbon.report.page import markdown
from dln.core.carbon.report.pictures import draw_power, panels
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.report.told import facts, headline, paragraph
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

START = datetime(2024, 6, 1, tzinfo=UTC)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")
GRID = Series(START, timedelta(hours=1), np.array([400.0] * 2), LABEL)
WHOLE = Emissions("a", START, (Interval(START, 7200, 1.0),), {"cpu": "measured (RAPL)"}, 1.0, "DE",
                  "csv", GRID)  # fmt: skip
UNREAD = replace(WHOLE, intervals=(Interval(START, 7200, measured=False),), power={})
NOWHERE = replace(WHOLE, region=None, source=None, intensity=None)


def told(*runs: Emissions) -> dict[str, Any]:
    return report([Subject(f"run {number}", run) for number, run in enumerate(runs)], [])


def test_the_headline_says_how_many_lack_it():
    assert headline(told(WHOLE, UNREAD, WHOLE)) == [
        "Energy of 1 of the 3 runs was not measured, so that it is not known what was emitted."
    ]
    assert headline(told(WHOLE, NOWHERE)) == [
        "Used 2 kWh in 4 hours. What 1 of the 2 runs emitted is not known without a region."
    ]
    assert headline(told(NOWHERE))[0].endswith("What that emitted is not known without a region.")


def test_energy_that_was_not_measured_was_used_all_the_same():
    table = told(UNREAD)
    words = [str(facts(table["runs"][0])), paragraph(table["runs"][0], "dln"), markdown(table)]
    assert all("no energy was used" not in text for text in words)
    assert "ran for 2 hours; its energy was not measured" in words[1]
    # No table of other places, which would have a head alone.
    assert "would emit" not in words[2]


def test_what_no_meter_read_is_told_within_the_picture():
    head = Interval(START, 60, measured=False)
    run = replace(WHOLE, intervals=(head, Interval(head.end, 7140, 1.0)))
    drawing, axes = panels(1, height=2.6)
    draw_power(here := next(axes), run)
    drawing.savefig(BytesIO(), format="png", dpi=100)
    names = [text.get_text() for text in here.get_legend().get_texts()]
    assert sorted(names) == ["CPU", "not measured"]
    label = here.yaxis.label.get_window_extent()
    assert 0 <= label.y0 < label.y1 <= drawing.bbox.y1


class Waiting:
    """A meter whose readings come to nothing, after a while of waiting."""

    problem, power, age, lag = "it does not answer", {"ram": "estimated"}, 0.0, 0.0
    seconds = wait = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def read(self) -> Energy | None:
        self.seconds += self.wait
        return None

    def close(self) -> Energy | None:
        return None


def test_a_reading_waited_for_in_vain_is_no_part_of_the_run(tmp_path: Path):
    meter = Waiting()
    kept = Recorder(tmp_path / NAME, "job", None, now=meter.now, meter=meter)  # pyright: ignore
    meter.seconds, meter.wait = 9, 5
    assert kept.close().running_seconds == 9


def test_zeros_of_before_are_not_measured(tmp_path: Path):
    """Whatever meter such a record names."""
    table = WHOLE.to_json()
    table["intervals"][0] |= {"cpu_kwh": 0.0, "gpu_kwh": 0.0, "ram_kwh": 0.0}
    (tmp_path / NAME).write_text(json.dumps(table))
    found = Emissions.load(tmp_path)
    assert (found.kwh, found.kg, found.not_measured_seconds) == (None, None, 7200)


@pytest.mark.parametrize("schema", [1, 3])
def test_a_report_of_another_version_is_told_to_be(schema: int):
    run = told(WHOLE)["runs"][0]
    for name in ("embodied", "sci", "equivalents"):
        del run[name]
    table = {"schema": schema, "runs": [run]}
    assert verify(json.dumps(table)).wrong == [f"its schema is {schema}, not 2: write it again"]


def test_a_meter_that_told_nothing_names_no_parts(tmp_path: Path):
    meter = Waiting()
    kept = Recorder(tmp_path / NAME, "job", None, now=meter.now, meter=meter)  # pyright: ignore
    meter.seconds = 40_000
    assert kept.close().power == {}
    assert kept.notes == ["the energy was not measured: it does not answer"]


def test_long_times_are_no_powers_of_ten(tmp_path: Path):
    head = Interval(START, 40_000, measured=False)
    run = replace(WHOLE, intervals=(head, Interval(head.end, 90_000, 1.0)))
    meter = Waiting()
    kept = Recorder(tmp_path / NAME, "job", None, run, now=meter.now, meter=meter)  # pyright: ignore
    (note,) = kept.notes
    assert note.startswith("11.1 hours of 36.1 hours were not measured")


class Reluctant(Waiting):
    """A meter of 36 kW that counts from a moment on, and tells a while after."""

    def __init__(self, counts: float, tells: float) -> None:
        self.counts, self.tells = counts, tells
        self.seconds = 0.0

    @property
    def age(self) -> float | None:
        return self.seconds - self.counts if self.seconds >= self.tells else None

    def read(self) -> Energy | None:
        told = self.seconds >= self.tells
        return Energy(cpu=0.01 * (self.seconds - self.counts)) if told else None


@pytest.mark.parametrize("mark", [None, 1, 2])
def test_a_first_reading_that_takes_a_while_loses_nothing(tmp_path: Path, mark: float | None):
    meter = Reluctant(counts=-0.5 if mark is None else 0.5, tells=4)
    kept = Recorder(tmp_path / NAME, "job", None, now=meter.now, meter=meter)  # pyright: ignore
    if mark is not None:
        meter.seconds = mark
        kept.mark()
    meter.seconds = 10
    found = kept.close()
    assert found.not_measured_seconds == (mark or 0)
    assert sum(i.kwh for i in found.intervals) == pytest.approx(0.01 * (10 - (mark or 0)))
    assert kept.record.kwh == pytest.approx(0.1)


def test_the_sci_of_unmeasured_energy_is_no_matter_of_the_place(tmp_path: Path):
    from dln.cli.carbon.report import subject

    with pytest.raises(UsageError, match="none was measured"):
        subject(tmp_path, UNREAD, None, "2xH100", "3:clip")
    with pytest.raises(UsageError, match="the grid of the place"):
        subject(tmp_path, NOWHERE, None, "2xH100", "3:clip")


def test_most_of_it_missed_is_why(tmp_path: Path):
    head = Interval(START, 90, measured=False)
    run = replace(WHOLE, intervals=(head, Interval(head.end, 30, 1.0)))
    meter = Waiting()
    kept = Recorder(tmp_path / NAME, "job", None, run, now=meter.now, meter=meter)  # pyright: ignore
    assert kept.notes == ["the energy was not measured: no meter for 90 seconds of 2 minutes"]
