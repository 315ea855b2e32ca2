"""A plan: when a run goes and when it waits, as a file that a trainer can follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError
from ...files import write_json
from ..grid.sources import IntensitySource
from ..places.regions import Region
from ..values import Label, Mode, Series, iso
from .exact import Task, best_pauses, best_start

SCHEMA = 1
WORTH = 3.0  # percent; below it a plan's gain drowns in what the source does not know
MOST_STEPS = 110_000  # of a plan; a year of five minutes has 105,120
_TICK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1) // _TICK
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Plan:
    """When a run goes: `blocks` in UTC, in order, ends exclusive. region: None where a file gave
    the intensities and nobody said.

    g_per_kwh: mean intensity while it runs; at_once: of a run begun when submitted. duration: of
    the job without a pause; the blocks hold what pauses cost, too. foresight: whether the
    intensities are those that came to be. kept: the share of their promise that such plans kept
    in a back-test; 1 where the future is known, or no back-test is.
    """

    region: str | None
    source: str
    mode: Mode
    submitted: datetime
    blocks: tuple[Span, ...]
    g_per_kwh: float
    at_once: float
    foresight: bool
    label: Label
    duration: timedelta
    kept: float = 1.0

    @property
    def running_time(self) -> timedelta:
        """How long the blocks are, together."""
        return sum((end - start for start, end in self.blocks), timedelta())

    @property
    def saving_percent(self) -> float:
        """Against starting at once, by the source's intensities and net of what pauses cost."""
        return self._saving(1.0)

    @property
    def expected_saving_percent(self) -> float:
        """What of it is to be expected: by the source's skill the intensity is that much lower,
        while pauses cost what they cost."""
        return self._saving(self.kept)

    def _saving(self, kept: float) -> float:
        if not self.at_once or not self.duration:
            return 0.0
        level = 1 - kept * (1 - self.g_per_kwh / self.at_once)
        return 100 * (1 - level * (self.running_time / self.duration))

    @property
    def worth_it(self) -> bool:
        return self.expected_saving_percent >= WORTH

    def running(self, moment: datetime) -> bool:
        """Whether the run goes at `moment`; after the last block it may go on to its end."""
        within = any(start <= moment < end for start, end in self.blocks)
        return within or moment >= self.blocks[-1][1]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "region": self.region,
            "source": self.source,
            "mode": self.mode,
            "submitted": iso(self.submitted),
            "blocks": [{"start": iso(start), "end": iso(end)} for start, end in self.blocks],
            "intensity_g_per_kwh": self.g_per_kwh,
            "at_once_g_per_kwh": self.at_once,
            "duration_seconds": self.duration.total_seconds(),
            "running_seconds": self.running_time.total_seconds(),
            "saving_percent": self.saving_percent,
            "expected_saving_percent": self.expected_saving_percent,
            "kept": self.kept,
            "worth_it": self.worth_it,
            "foresight": self.foresight,
            "label": self.label.to_json(),
        }

    def save(self, path: Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Plan:
        """UsageError where the file is not a plan."""
        from ..documents import PlanForm, read_document

        try:
            form = read_document(PlanForm, path)
            blocks = tuple((block.start, block.end) for block in form.blocks)
            edges = [edge for block in blocks for edge in block]
            running = sum((end - start for start, end in blocks), timedelta())
            if edges != sorted(edges):
                raise UsageError("its blocks are not in order.")
        except UsageError as error:
            raise UsageError(
                f"{path} is not a plan: {error.message}",
                "dln carbon schedule ... -o plan.json makes one",
            ) from error
        return cls(
            region=form.region,
            source=form.source,
            mode=form.mode,
            submitted=form.submitted,
            blocks=blocks,
            g_per_kwh=form.intensity_g_per_kwh,
            at_once=form.at_once_g_per_kwh,
            foresight=form.foresight,
            label=form.label,
            duration=running
            if form.duration_seconds is None
            else timedelta(seconds=form.duration_seconds),
            kept=form.kept,
        )


@dataclass(frozen=True)
class Job:
    """What is to be planned. pause_cost: running time that a pause costs; min_block: the shortest
    stretch that is worth starting for."""

    duration: timedelta
    slack: timedelta
    mode: Mode = "pause"
    pause_cost: timedelta = timedelta()
    min_block: timedelta = timedelta()


def make_plan(
    job: Job, region: Region | None, source: IntensitySource, submitted: datetime, kept: float = 1.0
) -> tuple[Plan, Series]:
    """The plan, and the intensities that it was made from.

    UsageError where the source does not reach to the job's end, with its slack.
    """
    if job.duration <= timedelta() or job.slack < timedelta():
        raise UsageError("--duration is above 0 and --slack not below", "--duration 8h --slack 24h")
    end = submitted + job.duration + job.slack
    known = source.series(submitted, end)
    task, unit = posed(job, known, submitted)
    blocks = best_start(task) if job.mode == "start" else best_pauses(task)
    plan = Plan(
        region=region and region.code,
        source=source.name,
        mode=job.mode,
        submitted=submitted,
        blocks=tuple((submitted + first * unit, submitted + end * unit) for first, end in blocks),
        g_per_kwh=task.mean(blocks),
        at_once=task.mean(((0, task.duration),)),
        foresight=source.foresight,
        label=known.label,
        duration=job.duration,
        kept=1.0 if source.foresight else kept,
    )
    return plan, known


def posed(job: Job, known: Series, submitted: datetime) -> tuple[Task, timedelta]:
    """The job beside the intensities from its submission on, and the unit of their times: the
    longest that all of them are multiples of; where pauses of a job in whole minutes are to be
    found and the source's steps begin between these, the minute."""
    end = submitted + job.duration + job.slack
    inside = _covering(known, submitted, end)
    offset, step = (inside.start - submitted) // _TICK, inside.step // _TICK
    edges = offset + np.arange(len(inside.g_per_kwh) + 1) * step
    edges[0], edges[-1] = 0, (end - submitted) // _TICK
    lengths = [span // _TICK for span in (job.duration, job.pause_cost, job.min_block)]
    task = Task(edges, inside.g_per_kwh, *lengths)
    own = gcd(*lengths, task.slack)
    unit = gcd(own, offset, step)
    costly = job.mode == "pause" and (job.pause_cost or job.min_block)
    if costly and unit < _MINUTE and own % _MINUTE == 0:
        return task.counted(_MINUTE), _MINUTE * _TICK
    return task.counted(unit), unit * _TICK


def _covering(known: Series, start: datetime, end: datetime) -> Series:
    """The steps that touch [start, end). UsageError where there are too many for a plan."""
    inside = known.between(start, end)
    if len(inside.g_per_kwh) > MOST_STEPS:
        raise UsageError(
            f"{len(inside.g_per_kwh):,} steps of {known.step.total_seconds():g} s are more than a "
            f"plan can have, {MOST_STEPS:,}",
            "a shorter --duration or --slack",
        )
    return inside
