"""Energy joined with intensity, by hand; and a report that follows from its own numbers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.sources import Annual, FromFile
from dln.core.carbon.meter import recorder
from dln.core.carbon.meter.emissions import NAME, Emissions, Interval
from dln.core.carbon.meter.meter import Energy
from dln.core.carbon.meter.recorder import Place, Recorder
from dln.core.carbon.places.regions import find
from dln.core.carbon.report.integrity import verify
from dln.core.carbon.report.report import Subject, report
from dln.core.carbon.report.told import escaped, paragraph
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")


def hours(*values: float) -> Series:
    return Series(NOON, HOUR, np.array(values, dtype=float), LABEL)


def at(hour: float) -> datetime:
    return NOON + hour * HOUR


# One hour at 400, a pause in the hour at 500 that draws a little, one hour at 100.
RUN = Emissions(
    "a run",
    NOON,
    (
        Interval(at(0), 3600, 1.0, 2.0, 0.5),
        Interval(at(1), 3600, 0.1, 0.0, 0.1, running=False),
        Interval(at(2), 3600, 1.0, 2.0, 0.5),
    ),
    {"cpu": "estimated (rated power and load)", "gpu": "measured (its own counter)"},
    1.5,
    "DE",
    "csv",
    hours(400, 500, 100),
)


def test_the_sum_by_hand():
    assert RUN.kwh == pytest.approx(1.5 * (3.5 + 0.2 + 3.5))
    assert RUN.kg == pytest.approx(1.5 * (3.5 * 400 + 0.2 * 500 + 3.5 * 100) / 1000)
    # At once: the second hour of work would have run at 500.
    assert RUN.at_once_kg == pytest.approx(1.5 * (3.5 * 400 + 3.5 * 500) / 1000)
    assert RUN.saving_percent == pytest.approx(100 * (1 - (1400 + 100 + 350) / (1400 + 1750)))
    assert (RUN.running_seconds, RUN.paused_seconds) == (7200, 3600)


def test_an_unbroken_run_saves_nothing():
    run = replace(RUN, intervals=(Interval(at(0), 5400, 1, 0, 0), Interval(at(1.5), 5400, 2, 0, 0)))
    assert run.saving_percent == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "mean"),
    [
        (0, 1, 400),
        (0.5, 1.5, 450),
        (0.25, 2.5, (0.75 * 400 + 500 + 0.5 * 100) / 2.25),
        (2.5, 9, 100),
        (-3, -1, 400),
        (1.2, 1.2, 500),
    ],
)
def test_means_over_time(start, end, mean):
    assert hours(400, 500, 100).mean(at(start), at(end)) == pytest.approx(mean)


def test_a_record_comes_back(tmp_path: Path):
    RUN.save(tmp_path / NAME)
    back = Emissions.load(tmp_path)
    assert back.to_json() == RUN.to_json()
    assert back.intervals == RUN.intervals


@pytest.mark.parametrize("text", ["{}", "[1]", "not json", '{"what": "x", "submitted": 3}'])
def test_what_is_no_record(tmp_path: Path, text: str):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UsageError, match="not a record"):
        Emissions.load(tmp_path)
    with pytest.raises(UsageError, match="there is no"):
        Emissions.load(tmp_path / "elsewhere.json")


class FakeMeter:
    """A watt-hour for each reading."""

    problem = None
    lag = 0.0

    def __init__(self, scope: str) -> None:
        self.power = {"cpu": "measured (RAPL)"}
        self.reads = 0

    def read(self) -> Energy:
        self.reads += 1
        return Energy(cpu=0.001 * self.reads)

    def close(self) -> Energy:
        return self.read()


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def after(self, minutes: float) -> None:
        self.moment += timedelta(minutes=minutes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(recorder, "Meter", FakeMeter)
    return Clock()


GERMANY = Place(find("germany"), Annual(300.0, LABEL), 1.2)


def test_a_recorder_keeps_pauses_apart(tmp_path: Path, clock: Clock):
    kept = Recorder(tmp_path / NAME, "job", GERMANY, now=clock)
    for minutes, running in ((2, True), (2, True), (2, False), (10, True)):
        clock.after(minutes)
        kept.mark(running)
    clock.after(1)
    found = kept.close()
    assert [(i.running, i.seconds) for i in found.intervals] == [
        (True, 240),
        (True, 120),
        (False, 600),
        (True, 60),
    ]
    assert found.kwh == pytest.approx(1.2 * 0.005)
    assert found.kg == pytest.approx(1.2 * 0.005 * 0.3)
    assert Emissions.load(tmp_path).to_json() == found.to_json()


def test_a_run_that_goes_on_keeps_what_was(tmp_path: Path, clock: Clock):
    first = Recorder(tmp_path / NAME, "job", GERMANY, now=clock)
    clock.after(3)
    before = first.close()
    clock.after(60)
    second = Recorder(tmp_path / NAME, "job", None, before, now=clock)
    clock.after(4)
    whole = second.close()
    assert whole.running_seconds == 7 * 60
    assert whole.submitted == NOON
    assert whole.pue == 1.2
    with pytest.raises(UsageError, match="was metered in DE, not in NO"):
        Recorder(tmp_path / NAME, "job", Place(find("norway"), GERMANY.source), whole, now=clock)


def test_energy_stays_where_the_source_fails(tmp_path: Path, clock: Clock):
    place = Place(find("germany"), FromFile(hours(100, 200)))
    kept = Recorder(tmp_path / NAME, "job", place, now=clock)
    clock.after(300)
    found = kept.close()
    assert found.kwh == pytest.approx(0.001)
    assert (found.kg, found.region, found.source) == (None, "DE", None)
    assert kept.problem
    later = found.placed(find("germany"), Annual(100.0, LABEL))
    assert later.kg == pytest.approx(0.0001)


def checked(table: dict) -> list[str]:
    """What is wrong with a report, as a file has it."""
    return verify(json.dumps(table)).wrong


def test_a_report_follows_from_its_numbers():
    table = report(
        [Subject("a", RUN), Subject("b", replace(RUN, pue=1.0))], [find("norway"), find("poland")]
    )
    assert checked(table) == []
    first = table["runs"][0]
    assert [row["region"] for row in first["comparison"]] == ["NO", "DE", "PL"]
    assert table["totals"]["energy_kwh"] == pytest.approx(2.5 * 7.2)
    assert "41.3 % less" in paragraph(first, "dln")
    assert "estimated" in paragraph(first, "dln")
    assert "in 2 hours, and paused for 60 minutes, in Germany" in paragraph(first, "dln")


def test_a_run_that_never_paused_is_compared_with_nothing():
    short = replace(RUN, intervals=(Interval(at(0), 90, 1, 0, 0),))
    said = paragraph(report([Subject("a", short)], [])["runs"][0], "dln")
    assert "in 90 seconds, in Germany" in said
    assert "at once" not in said


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["runs"][0].update(emissions_kg=1.0),
        lambda t: t["runs"][0]["intervals"][0].update(gpu_kwh=2.1),
        lambda t: t["runs"][0]["intensity"]["g_per_kwh"].__setitem__(0, 399.0),
        lambda t: t["runs"][0]["comparison"][0].update(emissions_kg_high=9.0),
        lambda t: t["runs"][0]["equivalents"].update(car_km=0.0),
        lambda t: t["totals"].update(saving_percent=60.0),
    ],
)
def test_a_changed_figure_is_found(change):
    table = json.loads(json.dumps(report([Subject("a", RUN)], [find("norway")])))
    change(table)
    assert checked(table)


def test_runs_without_a_region_have_energy_alone():
    nowhere = replace(RUN, region=None, source=None, intensity=None)
    table = report([Subject("a", nowhere), Subject("b", RUN)], [])
    assert table["totals"]["emissions_kg"] is None
    assert table["totals"]["energy_kwh"] == pytest.approx(2 * 1.5 * 7.2)
    assert checked(table) == []


def test_latex_takes_nothing_for_itself():
    assert escaped("a_b 5% \\x") == r"a\_b 5\% \textbackslash{}x"
