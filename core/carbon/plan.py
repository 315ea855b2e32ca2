"""A plan: when a run goes and when it waits, as a file that a trainer can follow."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import write_json
from .regions import Region
from .schedule import Blocks, Mode, best_plan, flexible_start, mean_of, pause_and_resume
from .sources import IntensitySource
from .values import Label, Series, iso

SCHEMA = 1
WORTH = 3.0  # percent; below it a plan's gain drowns in what the source does not know
MOST_STEPS = 110_000  # of a plan; a year of five minutes has 105,120
STEP = timedelta(minutes=5)  # between two starts of Flexible Start (Dodge et al. 2022)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Plan:
    """When a run goes: `blocks` in UTC, in order, ends exclusive. region: None where a file gave
    the intensities and nobody said.

    g_per_kwh: mean intensity while it runs; at_once: of a run begun when submitted. foresight:
    whether the intensities are those that came to be. kept: the share of their promise that such
    plans kept in a back-test; 1 where the future is known, or no back-test is.
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
    kept: float = 1.0

    @property
    def saving_percent(self) -> float:
        """Against starting at once, by the source's intensities."""
        return 100 * (1 - self.g_per_kwh / self.at_once) if self.at_once else 0.0

    @property
    def expected_saving_percent(self) -> float:
        """What of it is to be expected, by the source's skill."""
        return self.kept * self.saving_percent

    @property
    def worth_it(self) -> bool:
        return self.expected_saving_percent >= WORTH

    def running(self, moment: datetime) -> bool:
        """Whether the run goes at `moment`; after the last block it may go on to its end."""
        within = any(start <= moment < end for start, end in self.blocks)
        return within or moment >= self.blocks[-1][1]

    def lines(self, command: str) -> dict[str, str]:
        """What starts `command` with the first block: cron, at and Slurm, times in UTC."""
        first, quoted = self.blocks[0][0], shlex.quote(command)
        # A % ends the command in a crontab.
        spelt = command.replace("%", r"\%")
        return {
            "cron": f"CRON_TZ=UTC\n{first:%M %H %d %m} * {spelt}",
            "at": f"echo {quoted} | TZ=UTC at -t {first:%Y%m%d%H%M}",
            "slurm": f"TZ=UTC sbatch --begin={first:%Y-%m-%dT%H:%M:%S} --wrap={quoted}",
        }

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
        from .documents import PlanForm, read_document

        try:
            form = read_document(PlanForm, path)
            blocks = tuple((block.start, block.end) for block in form.blocks)
            edges = [edge for block in blocks for edge in block]
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
    known = source.series(submitted, submitted + job.duration + job.slack)
    series = in_steps(known, submitted, job)
    duration = ceil(job.duration / series.step)
    values = series.g_per_kwh
    blocks = _blocks(job, values, duration, len(values) - duration, series.step)
    plan = Plan(
        region=region and region.code,
        source=source.name,
        mode=job.mode,
        submitted=submitted,
        blocks=tuple((series.time(first), series.time(end)) for first, end in blocks),
        g_per_kwh=mean_of(values, blocks),
        at_once=mean_of(values, ((0, duration),)),
        foresight=source.foresight,
        label=series.label,
        kept=1.0 if source.foresight else kept,
    )
    return plan, known


def in_steps(known: Series, submitted: datetime, job: Job) -> Series:
    """The job's window in steps that begin with it: the source's own where submission, duration
    and slack fall on them, else of at most five minutes, as the paper's."""
    end = submitted + job.duration + job.slack
    edges = (submitted - known.start, job.duration, job.slack)
    whole = not any(edge % known.step for edge in edges)
    step = known.step if whole else min(STEP, known.step)
    if (end - submitted) / step > MOST_STEPS:
        raise UsageError(
            f"{(end - submitted) // step:,} steps of {step.total_seconds():g} s are more than a "
            f"plan can have, {MOST_STEPS:,}",
            "a shorter --duration or --slack, or a --start and times in whole hours",
        )
    if whole:
        return known.between(submitted, end)
    count = ceil(job.duration / step) + job.slack // step
    times = [submitted + i * step for i in range(count + 1)]
    values = [known.mean(*pair) for pair in pairwise(times)]
    return Series(submitted, step, np.array(values), known.label)


def _blocks(job: Job, values: np.ndarray, duration: int, slack: int, step: timedelta) -> Blocks:
    if job.mode == "start":
        return flexible_start(values, duration, slack)
    if not (job.pause_cost or job.min_block):
        return pause_and_resume(values, duration, slack)
    cost = job.pause_cost / step * float(values.mean())
    return best_plan(values, duration, slack, cost, ceil(job.min_block / step))
