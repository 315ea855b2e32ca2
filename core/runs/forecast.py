"""What a training will take: time by a few of its steps or by its operations, memory, disk, power.

Nothing is trained and nothing written. A stage that this machine can try is rehearsed: some rows of
its tables are computed, some steps taken, a part of an evaluation made. The others are estimated:
their floating-point operations at the share of the device's own matrix-product rate that trainings
reach.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from psutil import Process

from ..carbon.costs.energy import REACHED
from ..carbon.meter.meter import Meter
from ..carbon.values import Spread
from ..data import open_source
from ..data.planned import Plan, Planned, planning
from ..models.registry import find, load
from ..progress import OnProgress, unheard
from ..threads import Load
from ..training.accelerator import create_accelerator
from ..training.contents import read_record
from ..training.evaluations import evaluations
from ..training.events import silent
from ..training.fit import check
from ..training.run import Run
from ..training.speed import matrix_rate, waiter
from ..training.stage import Stage
from ..training.state import Checkpoints
from .asked import adjust, flattened, selected, settings_of
from .costs import ESTIMATED, MEASURED, Forecast, StageCost, Took
from .outlay import held, numbers, outlay
from .rehearsal import rehearse, saved_bytes
from .start import open_start
from .train import begun, resolved
from .work import flop_per_sample, weightless

if TYPE_CHECKING:
    from ..carbon.values import Scope
    from ..models.about import About
    from ..training.options import TrainOptions
    from ..training.settings import FitSettings

SMALL = 60_000_000  # weights, at the most, of a model that is tried
FEW = 400_000  # numbers of the least batch, which is tried whatever its work
TRIED_S = 6.0  # that a larger one may take by its operations, to be tried
WRITTEN = 200e6  # bytes a second of a checkpoint, with its checksums: assumed
MANY = 100  # steps for each evaluation, from which on none is tried
LOAD_S = 1.5  # of matrix products, under which power is read where no stage is tried
READY_S = 8.0  # that the meter may take
SIDE = {"cpu": 1024, "cuda": 4096, "mps": 2048}  # of matrices that tell a device's rate


def forecast(
    name: str, options: TrainOptions, scope: Scope = "machine", on_progress: OnProgress = unheard
) -> Forecast:
    """Of training model `name`, or of going on with it. UsageError for what was asked wrongly."""
    meter = Meter(scope, patience=0)
    try:
        return _Forecaster(find(name), options, meter, on_progress).run()
    finally:
        meter.close()


class _Forecaster:
    """twins: the stages without weights, by name, whose operations can be counted."""

    def __init__(
        self, about: About, options: TrainOptions, meter: Meter, on_progress: OnProgress
    ) -> None:
        self.accelerator = create_accelerator(options.device)
        self.device = self.accelerator.device
        path = Path(options.out) if options.out else Path("runs") / about.name
        self.options = options = resolved(about, path, options, self.accelerator)
        self.about, self.meter, self.on_progress = about, meter, on_progress
        self.load = Load()
        begun_at = time.perf_counter()
        self.source = open_source(str(options.data), seed=options.seed or 0,
                                  on_progress=on_progress, wordless=about.wordless)  # fmt: skip
        self.begin_s = time.perf_counter() - begun_at
        self.record = Run(path, read_record(path) if options.resume else {})
        if not options.resume:
            self.record.state = path / "none"  # what lies in the folder is of another run
        self.settings, self.plan = settings_of(options), Plan()
        self.power, self.held_bytes = Power(meter), 0
        if self.device.type == "cpu":
            self.held_bytes = Process().memory_info().rss
        self.twins: dict[str, Stage] = {}
        self.paces: dict[str, Took] = {}

    def run(self) -> Forecast:
        """The stages one after the other."""
        stages, real = self.stages()
        self.held_bytes += held(*(stage.modules for stage in stages))
        chosen = selected(stages, self.options.stage, self.record)
        costs = list[StageCost]()
        for number, stage in enumerate(chosen):
            self.on_progress(number, len(chosen), "stages tried")
            settings = flattened(stage, chosen, self.settings)
            costs.append(self.cost(stage, settings, real))
        self.on_progress(len(chosen), len(chosen), "stages tried")
        if not self.power.seconds:
            with self.power.counted():
                work(self.device, self.kind, LOAD_S)
        rate = self.rate if any(cost.how == ESTIMATED for cost in costs) else None
        return Forecast(costs, str(self.device), str(self.options.precision), self.begin_s,
                        self.plan.bytes, self.power.watts, self.power.parts, rate,
                        self.load.others())  # fmt: skip

    def stages(self) -> tuple[list[Stage], bool]:
        """The training's, and whether they have weights: those of a large model are but counted."""
        start = None
        if self.options.start_from:
            start = open_start(self.options.start_from, self.about.name)
            self.record.config |= {"start": {"sha256": start.sha256}}
        else:
            found = weightless(self.about, self.options, self.source)
            self.twins = {stage.name: stage for stage in found}
            weights = {id(p): p for stage in found for p in stage.modules.parameters()}
            if numbers(weights.values()) > SMALL:
                return found, False
        begun_at = time.perf_counter()
        model = begun(self.about, self.options, self.source, start).to(self.device)
        stages = load(self.about).stages(model, self.source, self.options)
        adjust(stages, self.options)
        self.begin_s += time.perf_counter() - begun_at
        return stages, True

    def cost(self, stage: Stage, settings: FitSettings, real: bool) -> StageCost:
        """Tables first, then the steps and what is between them."""
        checkpoints, size = Checkpoints(self.record.state / stage.name), outlay(stage)
        trained = numbers(p for player in stage.players for p in player.parameters)
        known = StageCost(stage.name, 0, stage.batch, trained, weights_bytes=size.weights)
        if checkpoints.finished():
            return known
        check(stage, settings, self.accelerator.num_processes)
        done = max(checkpoints.steps(), default=0)
        left, times = max(0, stage.steps - done), evaluations(stage, settings, done)
        before = set(self.plan.tables.values())
        tables = self.prepared(stage, real)
        tell = times if left < MANY * times else 0  # among many steps they hardly count
        found = self.tried(stage, settings, tell, tables) if real else None
        pace = found or self.counted(stage)
        micro = stage.batch / settings.accumulate / self.accelerator.num_processes
        memory = self.held_bytes + size.training + pace.activation_bytes * micro
        if pace.samples and self.device.type == "cpu":  # freed memory is kept: this was the peak
            more = pace.activation_bytes * (micro - pace.samples)
            memory = max(memory, Process().memory_info().rss + more)
        saves = 1 + left // (settings.checkpoint_every or left + 1)
        clocked = pace.step_s.expected / (settings.checkpoint_seconds or 1e12)
        saves += left * min(1.0, clocked)  # at most one a step
        return replace(
            known, steps=left, how=MEASURED if found else ESTIMATED, took=pace, evaluations=times,
            prepare_s=sum(table.seconds for table in tables if table not in before),
            evaluate_s=pace.evaluations_s(times), save_s=saves * size.checkpoint / WRITTEN,
            memory_bytes=round(memory),
            checkpoint_bytes=size.checkpoint,
        )  # fmt: skip

    def prepared(self, stage: Stage, real: bool) -> list[Planned]:
        """Its tables. Those that a network fills are not told of one without weights."""
        lacking = () if real else (RuntimeError,)
        with planning(self.plan) as tables, suppress(*lacking):
            stage.prepare(self.record.cache, silent)
        return tables

    def tried(
        self, stage: Stage, settings: FitSettings, times: int, tables: list[Planned]
    ) -> Took | None:
        """By a few steps; None where they would take too long, or are not finite."""
        if not self.quick(stage):
            return None
        with self.power.counted():
            found = rehearse(stage, settings, self.accelerator, times)
        if found is None:
            return None
        drawn = max((table.row_s for table in tables if not table.kept), default=0.0)
        found = replace(found, read_s=found.read_s + stage.batch * drawn)
        return Took(Spread.exact(found.seconds), found.activation_bytes, found.evaluation_s,
                    found.samples)  # fmt: skip

    def quick(self, stage: Stage) -> bool:
        """Whether a part of its batch is small, or its operations take little time."""
        unit = stage.together(stage.batch)
        if stage.name not in self.twins or numbers(stage.example(unit).values()) <= FEW:
            return True
        return self.counted(stage).step_s.expected * unit <= TRIED_S * stage.batch

    def counted(self, stage: Stage) -> Took:
        """By its operations. UsageError where they cannot be counted."""
        if stage.name not in self.paces:
            twin = self.twins.get(stage.name, stage)
            with saved_bytes(twin.modules.parameters()) as saved:
                flop = flop_per_sample(twin, saved.next)
            step = (stage.batch * flop / self.accelerator.num_processes) / self.rate
            took = Spread(step / REACHED.high, step / REACHED.expected, step / REACHED.low)
            self.paces[stage.name] = Took(took, saved.most, flop=flop)
        return self.paces[stage.name]

    @cached_property
    def rate(self) -> float:
        """The device's matrix-product rate in FLOP/s, in what the training computes in."""
        return matrix_rate(
            SIDE[self.device.type], str(self.device), self.kind, waiter(str(self.device))
        )

    @property
    def kind(self) -> torch.dtype:
        return torch.bfloat16 if self.options.precision == "bf16" else torch.float32


class Power:
    """What the meter reads while something is computed."""

    def __init__(self, meter: Meter) -> None:
        self.meter, self.kwh, self.seconds = meter, 0.0, 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Inside the context the device computes."""
        self.meter.wait(READY_S)
        before, begun_at = self.meter.read(), time.perf_counter()
        yield
        after = self.meter.read()
        if before and after and after.total > before.total:
            self.kwh += after.total - before.total
            self.seconds += time.perf_counter() - begun_at

    @property
    def watts(self) -> float | None:
        return 3.6e6 * self.kwh / self.seconds if self.seconds else None

    @property
    def parts(self) -> dict[str, str]:
        return self.meter.power if self.seconds else {}


def work(device: torch.device, kind: torch.dtype, seconds: float) -> None:
    """Matrix products for so long."""
    until, side = time.perf_counter() + seconds, SIDE[device.type]
    matrix, wait = torch.randn(side, side, device=device).to(kind), waiter(str(device))
    while time.perf_counter() < until:
        torch.mm(matrix, matrix)
        wait()
