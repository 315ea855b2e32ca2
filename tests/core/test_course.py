"""The course of a run that follows a schedule: exactly as long as it needs, and only where it may
go, as a second-by-second walk has it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as some

from dln.core.carbon.plan.course import FORESEEN, course, waited

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Minutes:
    """Goes in these minutes after noon, and after the last of them."""

    good: frozenset[int]

    def running(self, moment: datetime) -> bool:
        minute = (moment - NOON) // MINUTE
        return minute in self.good or minute > max(self.good)


@settings(max_examples=40, deadline=None)
@given(some.frozensets(some.integers(0, 30), min_size=1), some.integers(1, 2000))
def test_as_a_walk_second_by_second(good, needed):
    schedule, went, second = Minutes(good), list[int](), 0
    while len(went) < needed:
        if schedule.running(NOON + timedelta(seconds=second)):
            went.append(second)
        second += 1
    spans = course(schedule, NOON, timedelta(seconds=needed))
    covered = [each for start, end in spans
               for each in range(int((start - NOON).total_seconds()),
                                 int((end - NOON).total_seconds()))]  # fmt: skip
    assert covered == went
    assert all(one[1] < other[0] for one, other in pairwise(spans))
    assert waited(NOON, spans).total_seconds() == went[-1] + 1 - needed


def test_what_never_may_go_ends_after_a_year():
    class Never:
        def running(self, moment: datetime) -> bool:
            assert moment < NOON + FORESEEN
            return False

    assert course(Never(), NOON, MINUTE) == []
    assert waited(NOON, []) == timedelta()
