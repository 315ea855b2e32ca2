"""Plans in the job's own minutes against every plan that there is, net of what pauses cost."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from dln.core.carbon.grid.sources import FromFile
from dln.core.carbon.places.regions import find
from dln.core.carbon.plan.plan import Job, Plan, make_plan
from dln.core.carbon.values import Label, Mode, Series

START = datetime(2024, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LABEL = Label("average", "life-cycle", "2024", "a test", "measured")


def planned(values: list[float], step: int, late: int, job: Job) -> tuple[Plan, list[float]]:
    """The plan of a job submitted `late` minutes after the values begin, which hold for `step`
    minutes each, and the intensity of each of its own minutes."""
    source = FromFile(Series(START, step * MINUTE, np.array(values), LABEL))
    submitted = START + late * MINUTE
    plan, _ = make_plan(job, find("DE"), source, submitted)
    return plan, [values[(late + i) // step] for i in range((job.duration + job.slack) // MINUTE)]


def minutes(plan: Plan) -> list[tuple[int, int]]:
    """Its blocks from submission on; all of them in whole minutes."""
    edges = [[moment - plan.submitted for moment in block] for block in plan.blocks]
    assert not any(edge % MINUTE for pair in edges for edge in pair)
    return [(first // MINUTE, end // MINUTE) for first, end in edges]


def every(length: int, left: int, cost: int, least: int, begin: int = 0) -> Iterator[tuple]:
    """Every set of blocks within `length` minutes that run `left` minutes, and `cost` more for
    each pause."""
    for first in range(begin, length):
        for end in range(first + least, min(length, first + left) + 1):
            if end - first == left:
                yield ((first, end),)
            else:
                rest = every(length, left - (end - first) + cost, cost, least, end + 1)
                yield from (((first, end), *others) for others in rest)


def cheapest(values: list[float], left: int, cost: int, least: int) -> float:
    """The same minute by minute, for what has too many plans to write them all down."""

    @cache
    def go(t: int, left: int, run: int, begun: bool) -> float:
        stops = run == 0 or run >= least
        if left == 0 or t == len(values):
            return 0.0 if left == 0 and stops else np.inf
        more = left - 1 + (cost if begun and not run else 0)
        runs = values[t] + go(t + 1, more, min(run + 1, least), True)
        return min(runs, go(t + 1, left, 0, begun)) if stops else runs

    return go(0, left, 0, False)


def check(plan: Plan, values: list[float], job: Job, least: int, best: float) -> None:
    """What holds for every plan, and that it emits `best`."""
    blocks, duration = minutes(plan), job.duration // MINUTE
    assert blocks[0][0] >= 0
    assert blocks[-1][1] <= len(values)
    assert all(end < first for (_, end), (first, _) in pairwise(blocks))
    assert all(end - first >= least for first, end in blocks)
    running = sum(end - first for first, end in blocks)
    assert running == duration + (len(blocks) - 1) * (job.pause_cost // MINUTE)
    emitted = sum(sum(values[first:end]) for first, end in blocks)
    assert emitted == pytest.approx(best)
    assert plan.g_per_kwh * running == pytest.approx(emitted)
    now = sum(values[:duration])
    assert plan.at_once * duration == pytest.approx(now)
    if now:
        assert plan.saving_percent == pytest.approx(100 * (1 - best / now))


def drawn(rng: np.random.Generator, most: int, steps: int) -> tuple[list[float], int, int, Job]:
    """Steps, a moment of submission within the first and a job of some minutes."""
    step, late = int(rng.integers(1, steps)), int(rng.integers(0, steps))
    late %= step
    duration, slack = (int(n) for n in rng.integers(1, most, 2))
    values = rng.integers(0, 30, -(-(late + duration + slack) // step)).astype(float)
    cost, least = (
        int(rng.choice([0, 1, 2, 3, most])),
        int(rng.choice([0, 1, 2, 3, most // 5, most])),
    )
    mode: Mode = "start" if rng.random() < 0.2 else "pause"
    job = Job(duration * MINUTE, slack * MINUTE, mode, cost * MINUTE, least * MINUTE)
    return values.tolist(), step, late, job


@pytest.mark.parametrize("part", range(4))
def test_every_plan_there_is(part: int):
    rng = np.random.default_rng(part)
    for _ in range(40):
        values, step, late, job = drawn(rng, 9, 5)
        plan, own = planned(values, step, late, job)
        duration, slack = job.duration // MINUTE, job.slack // MINUTE
        if job.mode == "start":
            means = [sum(own[first : first + duration]) for first in range(slack + 1)]
            assert minutes(plan)[0][0] == means.index(min(means))
            check(plan, own, job, duration, min(means))
            continue
        least = max(1, min(duration, job.min_block // MINUTE))
        plans = every(len(own), duration, job.pause_cost // MINUTE, least)
        best = min(sum(sum(own[first:end]) for first, end in blocks) for blocks in plans)
        check(plan, own, job, least, best)


@pytest.mark.parametrize("part", range(2))
def test_hours_in_steps_of_up_to_an_hour(part: int):
    rng = np.random.default_rng(10 + part)
    for _ in range(12):
        values, step, late, job = drawn(rng, 110, 61)
        plan, own = planned(values, step, late, job)
        duration = job.duration // MINUTE
        least = duration if job.mode == "start" else max(1, min(duration, job.min_block // MINUTE))
        best = cheapest(own, duration, job.pause_cost // MINUTE, least)
        check(plan, own, job, least, best)


def test_what_pauses_cost_is_run_and_counted():
    """Ten minutes more, at what the block is in: 60 + 60 + 10 clean ones in two blocks."""
    values = [300.0, 100.0, 300.0, 300.0, 100.0, 100.0, 300.0]
    plan, _ = planned(values, 60, 0, Job(2 * HOUR, 5 * HOUR, pause_cost=10 * MINUTE))
    assert minutes(plan) == [(240, 360)]
    apart = [300.0, 100.0, 300.0, 300.0, 100.0, 300.0, 300.0]
    plan, _ = planned(apart, 60, 0, Job(2 * HOUR, 5 * HOUR, pause_cost=10 * MINUTE))
    first, second = minutes(plan)
    assert first[1] - first[0] + second[1] - second[0] == 130
    emitted = 100 * 120 + 300 * 10
    assert plan.saving_percent == pytest.approx(100 * (1 - emitted / (200 * 120)))
    assert plan.running_time == 130 * MINUTE
    # A pause of 55 minutes eats up what it saves.
    costly, _ = planned([100.0, 300.0] * 4, 60, 0, Job(4 * HOUR, 4 * HOUR, pause_cost=55 * MINUTE))
    assert minutes(costly) == [(0, 240)]
    assert not costly.worth_it


def test_a_promise_that_is_half_kept_pays_its_pauses_in_full():
    apart = [300.0, 100.0, 300.0, 300.0, 100.0, 300.0, 300.0]
    plan, _ = planned(apart, 60, 0, Job(2 * HOUR, 5 * HOUR, pause_cost=10 * MINUTE))
    half = replace(plan, kept=0.5)
    level = (plan.at_once + plan.g_per_kwh) / 2
    assert half.expected_saving_percent == pytest.approx(
        100 * (1 - level * 130 / (plan.at_once * 120))
    )
    assert replace(plan, kept=1.0).expected_saving_percent == plan.saving_percent
    assert replace(plan, kept=0.0).expected_saving_percent < 0


def test_seconds_beside_minutes():
    """Submitted at a second that no step begins at: what costs no pause is exact to the second,
    what does is planned in the job's minutes, each at its mean."""
    source = FromFile(Series(START, HOUR, np.array([300.0, 100.0, 300.0, 100.0, 300.0]), LABEL))
    submitted = START + timedelta(seconds=17)
    free, _ = make_plan(Job(2 * HOUR, 2 * HOUR), find("DE"), source, submitted)
    assert free.blocks == (
        (START + HOUR, START + 2 * HOUR), (START + 3 * HOUR, START + 4 * HOUR),
    )  # fmt: skip
    paid, _ = make_plan(
        Job(2 * HOUR, 2 * HOUR, pause_cost=2 * MINUTE), find("DE"), source, submitted
    )
    assert len(minutes(paid)) == 2
    assert paid.running_time == 122 * MINUTE
    assert 100 < paid.g_per_kwh < 105


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 333.33])
@pytest.mark.parametrize(("cost", "least"), [(0, 0), (2, 0), (0, 45), (3, 45)])
def test_where_all_hours_are_alike_it_begins_at_once(value: float, cost: int, least: int):
    job = Job(8 * HOUR, 24 * HOUR, "pause", cost * MINUTE, least * MINUTE)
    plan, _ = planned([value] * 33, 60, 17, job)
    assert minutes(plan) == [(0, 480)]
    assert plan.saving_percent == pytest.approx(0, abs=1e-9)
