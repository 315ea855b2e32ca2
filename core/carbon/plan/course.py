"""The course of a run that follows a schedule, foreseen."""

from datetime import datetime, timedelta
from itertools import pairwise

from .plan import Span
from .threshold import Schedule

STEP = timedelta(minutes=1)
FORESEEN = timedelta(days=365)  # beyond which nothing is said


def course(schedule: Schedule, begin: datetime, needed: timedelta) -> list[Span]:
    """When a run that computes for `needed` goes, from `begin` on, to the minute: spans in order,
    apart from each other, `needed` long together unless a year is over before."""
    spans, left, moment = list[Span](), needed, begin
    while left > timedelta() and moment < begin + FORESEEN:
        if schedule.running(moment):
            end = moment + min(STEP, left)
            joined = bool(spans) and spans[-1][1] == moment
            start = spans.pop()[0] if joined else moment
            spans.append((start, end))
            left -= end - moment
        moment += STEP
    return spans


def waited(begin: datetime, spans: list[Span]) -> timedelta:
    """How long it waits before and between them."""
    ends = [begin, *(edge for span in spans for edge in span)]
    return sum((later - early for early, later in list(pairwise(ends))[::2]), timedelta())
