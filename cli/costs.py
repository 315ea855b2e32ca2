"""What a training will cost, for a person and for a program: every number says what it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .show import number

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account, Place
    from dln.core.carbon.plan.plan import Span
    from dln.core.carbon.plan.threshold import Schedule
    from dln.core.carbon.values import Label, Spread
    from dln.core.runs.costs import Forecast, StageCost

FORESEEN_S = 365 * 24 * 3600.0  # of a grid's hours; beyond them a year's mean tells
BYTES = (("GB", 1e9, 1e9), ("MB", 1e6, 1e6), ("kB", 1e3, 0.0))
SHAPES = "estimated by the shapes of its tensors"
TRIED = "measured while stages were tried, scaled to the batch"


@dataclass(frozen=True)
class Costs:
    """place: None where no region was named; account: what counts, None where nothing was said;
    schedule: when it may run, None where that is at any time."""

    found: "Forecast"
    place: "Place | None"
    account: "Account | None"
    schedule: "Schedule | None" = None
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def pue(self) -> float:
        return self.place.pue if self.place else 1.0

    @property
    def kwh(self) -> "Spread | None":
        """Of the facility."""
        return self.found.kwh and self.found.kwh * self.pue

    @cached_property
    def spans(self) -> "list[Span]":
        """When it would train if it began now. What a service will say nobody knows: a schedule
        that asks one is left out."""
        from dln.core.carbon.grid.sources import LiveSource
        from dln.core.carbon.plan.course import course

        seconds = max(1.0, min(self.found.seconds.expected, FORESEEN_S))
        needed = timedelta(seconds=seconds)
        if self.schedule is None or (self.place and isinstance(self.place.source, LiveSource)):
            return [(self.begin, self.begin + needed)]
        return course(self.schedule, self.begin, needed)

    @property
    def waits(self) -> float:
        """Seconds of its waiting."""
        from dln.core.carbon.plan.course import waited

        return waited(self.begin, self.spans).total_seconds()

    @cached_property
    def grid(self) -> "tuple[Spread, Label] | None":
        """g/kWh while it would train; a year's mean where that is not known."""
        from dln.core.carbon.places.annual import annual
        from dln.core.carbon.values import Spread
        from dln.core.errors import DlnError

        if self.place is None or not self.spans:
            return None
        try:
            series = self.place.source.series(self.spans[0][0], self.spans[-1][1])
            lasts = [(end - start).total_seconds() for start, end in self.spans]
            grams = sum(series.mean(*span) * last
                        for span, last in zip(self.spans, lasts, strict=True))  # fmt: skip
            return Spread.exact(grams / sum(lasts)), series.label
        except DlnError:
            if self.place.region is None:
                raise
            year = annual(self.place.region)
            return year.g_per_kwh, year.label

    @property
    def kg(self) -> "Spread | None":
        return self.kwh * self.grid[0] * 1e-3 if self.kwh and self.grid else None

    @property
    def market_kg(self) -> "Spread | None":
        """By what the user states of the electricity."""
        stated = self.account.market_g_per_kwh if self.account else None
        return None if stated is None or not self.kwh else self.kwh * (stated * 1e-3)

    @property
    def origin(self) -> str:
        """What the hours are."""
        from dln.core.runs.costs import DONE

        kinds = dict.fromkeys(stage.how for stage in self.found.stages if stage.how != DONE)
        return " and ".join(kinds) or DONE

    @property
    def energy_origin(self) -> str:
        from dln.core.carbon.values import is_metered

        if self.found.watts is None:
            return "not known: codecarbon's meter gave no reading"
        parts = [f"{part} {how}" for part, how in self.found.power.items() if is_metered(how)]
        return f"{self.found.watts:.3g} W while stages were tried: {', '.join(parts)}"

    def data(self) -> dict[str, Any]:
        from dln.core.carbon.values import iso

        from .carbon.costs import named

        found, grid = self.found, self.grid
        return {
            "stages": [stage_data(stage) for stage in found.stages],
            **(found.seconds * (1 / 3600)).to_json("hours"),
            "hours_origin": self.origin,
            "busy_cores": found.others,
            "waiting_hours": self.waits / 3600,
            "ends": iso(self.spans[-1][1]) if self.spans else None,
            "begin_seconds": found.begin_s,
            "device": found.device,
            "precision": found.precision,
            "matrix_flop_per_s": found.rate,
            "memory_bytes": found.memory_bytes,
            "memory_origin": TRIED if found.memory_tried else SHAPES,
            "disk_bytes": sum(found.disk_bytes.values()),
            "disk_bytes_by_kind": found.disk_bytes,
            "disk_origin": SHAPES,
            "power_watts": found.watts,
            **named("energy_kwh", self.kwh),
            "energy_origin": self.energy_origin,
            "pue": self.pue,
            "region": self.place and self.place.code,
            **named("intensity_g_per_kwh", grid and grid[0]),
            "label": grid and grid[1].to_json(),
            **named("emissions_kg", self.kg),
            **named("market_kg", self.market_kg),
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        from dln.core.carbon.costs.amounts import energies, masses
        from dln.core.carbon.costs.amounts import plain as figures

        found = self.found
        yield from ((f"stage {stage.name}", told(stage)) for stage in found.stages)
        yield "hours", f"{ranged(found.seconds)} on {found.device} in {found.precision}, in all"
        yield "", f"{self.origin}{', the rate of matrix products measured' if found.rate else ''}"
        beside = {"tables": "", "evaluations": tried(found.stages), "checkpoints": " (assumed)"}
        spent = zip(beside.items(), found.beside_s, strict=True)
        yield "", ", ".join(f"{name} {span(each)}{how}" for (name, how), each in spent)
        if busy := self.busy_told():
            yield "", busy
        if self.schedule:
            yield "waits", self.course_told()
        yield "memory", f"{size(found.memory_bytes)}, {TRIED if found.memory_tried else SHAPES}"
        disk = ", ".join(f"{name} {size(each)}" for name, each in found.disk_bytes.items())
        yield "disk", f"{size(sum(found.disk_bytes.values()))}, {SHAPES}: {disk}"
        if self.kwh:
            yield "energy", f"{energies(self.kwh)}, PUE {self.pue:g}"
        yield "" if self.kwh else "energy", self.energy_origin
        if self.kg and self.grid:
            rate = figures(self.grid[0].expected, 3)
            yield "emissions", f"{masses(self.kg)} CO2e at {rate} g/kWh"
            yield "", str(self.grid[1])
        elif not self.place:
            yield "emissions", "not known: no --region was named"
        if self.market_kg:
            yield "market-based", f"{masses(self.market_kg)} CO2e, as stated"

    def busy_told(self) -> str:
        """Of other programs, where they took more of the cores than a desktop does."""
        from dln.core.threads import SLACK, cores

        others = self.found.others or 0.0
        if self.found.device != "cpu" or others <= SLACK:
            return ""
        taken = f"{min(others, cores()):.1f} of {cores()} cores"
        return f"other programs kept {taken} busy meanwhile: without them it takes less"

    def course_told(self) -> str:
        """How long it waits, and when it ends; and whether the plan is too short for it."""
        from dln.core.carbon.plan.plan import Plan

        if not self.spans:
            return "for more than a year"
        told = f"{span(self.waits)}, ends {self.spans[-1][1]:%a %d %b %H:%M} UTC"
        planned = self.schedule.duration.total_seconds() if isinstance(self.schedule, Plan) else 0
        if 0 < planned < self.found.seconds.expected:
            told += f"; the plan is for {span(planned)}, after which it goes on at any hour"
        return told


def tried(stages: "list[StageCost]") -> str:
    """What their evaluations rest on."""
    kinds = dict.fromkeys("measured" if stage.took.evaluation_s else "assumed" for stage in stages)
    return f" ({' and '.join(kinds)})"


def told(stage: "StageCost") -> str:
    """A stage on one line."""
    from dln.core.runs.costs import DONE

    if stage.how == DONE:
        return f"finished, {number(stage.parameters)} parameters"
    tables = f", tables {span(stage.prepare_s)}" if stage.prepare_s >= 1 else ""
    return (
        f"{number(stage.steps)} steps of {number(stage.batch)} samples, "
        f"{number(stage.parameters)} parameters: {ranged(stage.seconds)}{tables}, {basis(stage)}"
    )


def basis(stage: "StageCost") -> str:
    """What its time rests on."""
    took = stage.took
    step = f"{took.step_s.expected:.3g} s a step"
    if took.samples is not None:
        few = f", scaled from {number(took.samples)} of its {number(stage.batch)} samples"
        return f"{stage.how} ({step}{'' if took.samples == stage.batch else few})"
    from dln.core.carbon.costs.energy import REACHED

    share = f"{REACHED.low:.0%} to {REACHED.high:.0%}".replace("%", " %")
    return f"{stage.how} ({step}: {took.flop:.3g} FLOP a sample at {share} of the matrix products)"


def ranged(seconds: "Spread") -> str:
    """A time, with its range where it has one."""
    if seconds.low == seconds.high:
        return span(seconds.expected)
    ends = f"{span(seconds.low)} to {span(seconds.high)}"
    return f"{span(seconds.expected)} ({ends})"


def span(seconds: float) -> str:
    from dln.core.carbon.costs.amounts import lasting

    return lasting(seconds)


def size(count: float) -> str:
    """Bytes in kB, MB or GB."""
    from dln.core.carbon.costs.amounts import amount

    return amount(count, BYTES, 3)


def stage_data(stage: "StageCost") -> dict[str, Any]:
    """A stage for a program."""
    took = stage.took
    return {
        "stage": stage.name,
        "steps": stage.steps,
        "batch": stage.batch,
        "parameters": stage.parameters,
        "origin": stage.how,
        **took.step_s.to_json("step_seconds"),
        "samples_tried": took.samples,
        "flop_per_sample": took.flop,
        "table_seconds": stage.prepare_s,
        "evaluations": stage.evaluations,
        "evaluation_seconds": stage.evaluate_s,
        "evaluations_origin": "measured" if took.evaluation_s else "assumed",
        "checkpoint_seconds": stage.save_s,
        "checkpoints_origin": "assumed",
        **(stage.seconds * (1 / 3600)).to_json("hours"),
        "memory_bytes": stage.memory_bytes,
    }
