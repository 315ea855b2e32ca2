"""Plans: what they hold, that they come back from their file, when they let a run go."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dln.core.carbon.grid.sources import FromFile, Typical
from dln.core.carbon.places.profiles import Profile
from dln.core.carbon.places.regions import find
from dln.core.carbon.plan.plan import Job, Plan, make_plan
from dln.core.carbon.values import Label, Series
from dln.core.errors import UsageError

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
VALUES = [300.0, 100.0, 400.0, 200.0, 500.0, 100.0]


def source(values: list[float]) -> FromFile:
    label = Label("average", "life-cycle", "2024", "a test", "measured")
    return FromFile(Series(START, HOUR, np.array(values), label))


def plan(job: Job) -> Plan:
    return make_plan(job, find("DE"), source(VALUES), START)[0]


def test_both_modes_by_hand():
    pause = plan(Job(2 * HOUR, 4 * HOUR))
    assert pause.blocks == (
        (START + HOUR, START + 2 * HOUR), (START + 5 * HOUR, START + 6 * HOUR),
    )  # fmt: skip
    assert (pause.g_per_kwh, pause.at_once, pause.saving_percent) == (100, 200, 50)
    start = plan(Job(2 * HOUR, 3 * HOUR, "start"))
    assert start.blocks == ((START, START + 2 * HOUR),)
    assert start.saving_percent == 0
    assert not start.worth_it
    costly = plan(Job(2 * HOUR, 4 * HOUR, pause_cost=HOUR))
    assert len(costly.blocks) == 1


def test_it_comes_back_from_its_file(tmp_path: Path):
    made = plan(Job(2 * HOUR, 4 * HOUR))
    made.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == made


def test_when_a_run_goes():
    made = plan(Job(2 * HOUR, 4 * HOUR))
    goes = [made.running(START + hours * HOUR) for hours in range(8)]
    assert goes == [False, True, False, False, False, True, True, True]


def test_a_job_beside_the_hours():
    """Submitted at half past, an hour and a half long: every minute from that moment on."""
    job = Job(1.5 * HOUR, 3 * HOUR, "start")
    made = make_plan(job, find("DE"), source(VALUES), START + HOUR / 2)[0]
    every = [START + HOUR / 2 + i * timedelta(minutes=1) for i in range(181)]
    series = source(VALUES).data
    means = [series.mean(first, first + job.duration) for first in every]
    best = every[int(np.argmin(np.round(means, 9)))]
    assert made.blocks == ((best, best + job.duration),)
    assert made.g_per_kwh == pytest.approx(min(means))
    assert made.at_once == pytest.approx((0.5 * 300 + 100) / 1.5)
    pause = make_plan(Job(1.5 * HOUR, 3 * HOUR), find("DE"), source(VALUES), START + HOUR / 2)[0]
    assert pause.blocks == (
        (START + HOUR, START + 2 * HOUR), (START + 3 * HOUR, START + 3.5 * HOUR),
    )  # fmt: skip
    assert pause.blocks[-1][1] <= START + 5 * HOUR


def test_a_promise_is_worth_what_was_kept_of_it():
    guess = Typical(Profile.fit(year(), "DE"))
    job = Job(8 * HOUR, 24 * HOUR)
    whole, doubted = (make_plan(job, find("DE"), guess, START, kept)[0] for kept in (1.0, 0.1))
    assert whole.worth_it
    assert doubted.saving_percent == whole.saving_percent > 3
    assert doubted.expected_saving_percent == pytest.approx(0.1 * whole.saving_percent)
    assert not doubted.worth_it
    known = make_plan(Job(2 * HOUR, 4 * HOUR), find("DE"), source(VALUES), START, 0.1)[0]
    assert known.kept == 1.0


def year() -> Series:
    """Eight clean hours a day."""
    values = np.where(np.arange(365 * 24) % 24 < 8, 270.0, 300.0)
    label = Label("average", "life-cycle", "2022", "a test", "measured")
    return Series(datetime(2022, 1, 1, tzinfo=UTC), HOUR, values, label)


def test_a_plan_that_ends_past_the_data():
    with pytest.raises(UsageError, match="2024-06-01T19:00Z is not within the data"):
        plan(Job(2 * HOUR, 5 * HOUR))


def test_broken_plans(tmp_path: Path):
    made = plan(Job(2 * HOUR, 4 * HOUR)).to_json()
    path = tmp_path / "plan.json"
    backwards = {**made, "blocks": made["blocks"][::-1]}
    naive = {**made, "submitted": "2024-06-01T12:00"}
    for table in ({}, [], {**made, "blocks": []}, backwards, naive):
        path.write_text(json.dumps(table))
        with pytest.raises(UsageError, match="is not a plan"):
            Plan.load(path)
    path.write_text("{")
    with pytest.raises(UsageError, match="is not a plan"):
        Plan.load(path)
    with pytest.raises(UsageError, match="is not a plan"):
        Plan.load(tmp_path / "missing.json")
