"""The forms of carbon's JSON files, as the door checks them: plans, records, reports, answers.

Imported where such a file is read: pydantic costs a light command a third of its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BeforeValidator, Field

from ..door import read_bytes, typed
from ..errors import UsageError, short
from .values import (
    LEAST_UNITS,
    MOST_G,
    MOST_KWH,
    MOST_PUE,
    MOST_UNITS,
    Label,
    Mode,
    Scope,
    Series,
    parse_time,
)

T = TypeVar("T")

MOST_ROWS = 1_000_000  # blocks, intervals or hours of one file; a year of 5 minutes has 105,120
LONGEST = timedelta(days=36_525)  # of a run or a series


def _zoned(text: Any) -> datetime:
    if not isinstance(text, str):
        raise ValueError("it is not a time")
    moment = parse_time(text)
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{short(text)!r} has no time zone")
    return moment


Moment = Annotated[datetime, BeforeValidator(_zoned)]
Grams = Annotated[float, Field(ge=0, le=MOST_G)]  # for each kWh
Kwh = Annotated[float, Field(ge=0, le=MOST_KWH)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST.total_seconds())]
Step = Annotated[float, Field(ge=1e-6, le=LONGEST.total_seconds())]


@dataclass(frozen=True)
class BlockForm:
    start: Moment
    end: Moment


@dataclass(frozen=True)
class PlanForm:
    region: str | None
    source: str
    mode: Mode
    submitted: Moment
    blocks: Annotated[list[BlockForm], Field(min_length=1, max_length=MOST_ROWS)]
    intensity_g_per_kwh: Grams
    at_once_g_per_kwh: Grams
    foresight: bool
    label: Label
    kept: Annotated[float, Field(ge=0, le=1)] = 1.0
    duration_seconds: Step | None = None  # older plans lack it: their blocks are as long


@dataclass(frozen=True)
class SeriesForm:
    label: Label
    start: Moment
    step_seconds: Step
    g_per_kwh: Annotated[list[Grams], Field(min_length=1, max_length=MOST_ROWS)]

    def series(self) -> Series:
        values = np.array(self.g_per_kwh, dtype=np.float64)
        return Series(self.start, timedelta(seconds=self.step_seconds), values, self.label)


@dataclass(frozen=True)
class IntervalForm:
    start: Moment
    seconds: Seconds
    cpu_kwh: Kwh | None
    gpu_kwh: Kwh | None
    ram_kwh: Kwh | None
    running: bool


@dataclass(frozen=True)
class RecordForm:
    """What stands in emissions.json beside the totals, which are computed again."""

    what: str
    submitted: Moment
    intervals: Annotated[list[IntervalForm], Field(max_length=MOST_ROWS)]
    power: dict[str, str]
    pue: Annotated[float, Field(ge=1, le=MOST_PUE)]
    region: str | None
    source: str | None
    intensity: SeriesForm | None
    market_g_per_kwh: Grams | None = None
    scope: Scope = "machine"

    def check_span(self) -> None:
        """UsageError where the run, or the hours that it names, would leave the calendar."""
        spans = [sum(interval.seconds for interval in self.intervals)]
        if self.intensity:
            spans.append(self.intensity.step_seconds * len(self.intensity.g_per_kwh))
        if max(spans) > LONGEST.total_seconds():
            raise UsageError("the record is damaged: it tells of more than a hundred years.")


@dataclass(frozen=True)
class PlaceForm:
    region: str


@dataclass(frozen=True)
class MachinesForm:
    machines: str


@dataclass(frozen=True)
class UnitsForm:
    unit: str
    units: Annotated[float, Field(ge=LEAST_UNITS, le=MOST_UNITS)]


@dataclass(frozen=True, kw_only=True)
class RunForm(RecordForm):
    """A record with what its figures are made from; those are made again."""

    name: str
    comparison: Annotated[list[PlaceForm], Field(max_length=MOST_ROWS)]
    embodied: MachinesForm | None
    sci: UnitsForm | None


@dataclass(frozen=True)
class AnyReportForm:
    """Of any version."""

    schema: int
    runs: list[Any]


@dataclass(frozen=True)
class ReportForm:
    schema: int
    runs: list[RunForm]


@dataclass(frozen=True)
class AnswerForm:
    """A kept answer of a live service: times with their g/kWh."""

    fetched: Moment
    step_seconds: Step
    points: Annotated[list[tuple[Moment, Grams]], Field(max_length=MOST_ROWS)]


def read_document(kind: type[T], path: Path) -> T:
    """The file at `path`. UsageError where it is not of that kind."""
    return typed(kind, read_bytes(path), str(path))
