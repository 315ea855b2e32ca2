"""SGD, SAM, SAF and MESA side by side: the same data, the same first weights, the same order."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ..errors import Interrupted, UsageError, closest
from ..progress import OnProgress
from ..training.events import Evaluated, Event, Stepped, silent
from ..training.fit import fit
from ..training.options import TrainOptions
from ..training.run import Run
from ..training.settings import FitSettings
from ..training.sharpness import METHODS, Sharpness
from ..training.stage import Stage

BASE = "sgd"  # what `METHODS` call none
PROBED = 512  # samples whose loss surface is looked at
HORIZON = 5.0  # epochs over which MESA averages, unless its decay is given


@dataclass(frozen=True)
class Comparison:
    """What to compare: every method once for each seed.

    count: samples of the data set, None for all. lr None: the stage's own.
    """

    model: str
    data: str
    methods: tuple[str, ...] = (BASE, "sam", "saf", "mesa")
    seeds: int = 5
    epochs: int = 40
    batch: int = 64
    lr: float | None = None
    count: int | None = None
    preset: str | None = None
    settings: Sharpness = field(default_factory=Sharpness)

    def __post_init__(self) -> None:
        for method in self.methods:
            if method != BASE and method not in METHODS[1:]:
                known = (BASE, *METHODS[1:])
                raise UsageError(f"no method {method!r}.{closest(method, known)}",
                                 f"of {', '.join(known)}")  # fmt: skip
        if BASE not in self.methods:
            raise UsageError(f"every ratio is to {BASE}: --against {BASE},...")
        if min(self.seeds, self.epochs, self.batch) < 1:
            raise UsageError("seeds, epochs and batch are at least 1")


@dataclass(frozen=True)
class Arm:
    """One training. step_ms: median; memory_mib: what the method holds beside plain training;
    the rest of the training set's loss around the final weights."""

    method: str
    seed: int
    accuracy: float
    step_ms: float
    memory_mib: float
    train_loss: float
    top_hessian_eigenvalue: float
    sam_sharpness: float


@dataclass(frozen=True)
class Row:
    """A method over all seeds. flatter: seeds in which its eigenvalue is below SGD's; step_ratio:
    the median of the seeds' step times over SGD's."""

    method: str
    accuracy: float
    accuracy_deviation: float
    top_hessian_eigenvalue: float
    sam_sharpness: float
    flatter: int
    step_ratio: float
    memory_mib: float


@dataclass(frozen=True)
class Study:
    request: Comparison
    arms: tuple[Arm, ...]

    def rows(self) -> list[Row]:
        return [self._row(method) for method in self.request.methods]

    def _row(self, method: str) -> Row:
        base = [arm for arm in self.arms if arm.method == BASE]
        own = [arm for arm in self.arms if arm.method == method]
        pairs = list(zip(own, base, strict=True))
        accuracies = [arm.accuracy for arm in own]
        return Row(
            method,
            statistics.fmean(accuracies),
            statistics.stdev(accuracies) if len(own) > 1 else 0.0,
            statistics.fmean(arm.top_hessian_eigenvalue for arm in own),
            statistics.fmean(arm.sam_sharpness for arm in own),
            sum(a.top_hessian_eigenvalue < b.top_hessian_eigenvalue for a, b in pairs),
            statistics.median(a.step_ms / b.step_ms for a, b in pairs),
            own[0].memory_mib,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "request": asdict(self.request),
            "rows": [asdict(row) for row in self.rows()],
            "arms": [asdict(arm) for arm in self.arms],
        }


def study(request: Comparison, on_progress: OnProgress | None = None) -> Study:
    """Train every method with every seed, one after the other.

    Gradients are not clipped and the weights not averaged: what flattens is the method alone.
    Interrupted after Ctrl-C, with nothing kept: one half of a comparison compares nothing.
    """
    from accelerate import Accelerator

    from ..data import open_source
    from ..training.allocator import keep_freed_memory

    keep_freed_memory()
    report = on_progress or (lambda done, total, what: None)
    source = open_source(request.data, count=request.count)
    accelerator, arms = Accelerator(mixed_precision="no"), []
    total = request.seeds * len(request.methods)
    with TemporaryDirectory(prefix="dln-study-") as folder:
        for seed in range(request.seeds):
            for method in request.methods:
                report(len(arms), total, f"{method}, seed {seed}")
                try:
                    arms.append(_arm(request, source, method, seed, Path(folder), accelerator))
                except Interrupted as error:
                    raise Interrupted(
                        f"stopped in training {len(arms) + 1} of {total}; nothing of it is kept",
                        hint="the same command again, with fewer --seeds or --epochs",
                    ) from error
    report(total, total, "trainings")
    return Study(request, tuple(arms))


def _arm(
    request: Comparison, source: Any, method: str, seed: int, folder: Path, accelerator: Any
) -> Arm:
    stage = _stage(request, source, seed)
    stage.prepare(folder / "cache", silent)
    steps_an_epoch = math.ceil(len(stage) / request.batch)
    stage.steps, stage.batch = request.epochs * steps_an_epoch, request.batch
    player = stage.players[0]
    player.optimizer, player.betas = "sgd", (0.9, 0.95)
    player.clip_norm, player.average = None, None
    player.learning_rate = request.lr or player.learning_rate
    chosen = replace(request.settings, method="none" if method == BASE else method)
    if chosen.decay == Sharpness.decay:
        chosen = replace(chosen, decay=1 - 1 / (HORIZON * steps_an_epoch))
    heard: list[Event] = []
    settings = FitSettings(
        seed=seed, checkpoint_seconds=None, log_every=steps_an_epoch, evaluate_every=stage.steps,
        sharpness=chosen,
    )  # fmt: skip
    run = Run.create(folder / f"{method}-{seed}", {"model": request.model})
    fit(stage, settings, run, accelerator, heard.append)
    rates = [event.rate for event in heard if isinstance(event, Stepped)]
    (metrics,) = [event.metrics for event in heard if isinstance(event, Evaluated)]
    parameters = sum(p.numel() for p in player.parameters)
    return Arm(
        method,
        seed,
        metrics["accuracy"],
        1000 * request.batch / statistics.median(rates),
        chosen.memory_mib(len(stage), stage.outputs or 0, parameters),
        **surface_metrics(stage, accelerator.device),
    )


def _stage(request: Comparison, source: Any, seed: int) -> Stage:
    """The model's one stage from the seed's weights. UsageError where it has several, or no
    accuracy to compare."""
    from ..models.registry import find, load
    from ..runs.build import build

    about = find(request.model)
    torch.manual_seed(seed)
    model = build(about, request.preset, {}, source)
    options = TrainOptions(data=request.data, seed=seed, precision="fp32")
    stages = load(about).stages(model, source, options)
    if about.generates or len(stages) != 1:
        raise UsageError(f"{about.name} is no classifier: there is no accuracy to compare",
                         "dln bench recognizer --against sgd,sam,saf,mesa")  # fmt: skip
    return stages[0]


def surface_metrics(stage: Stage, device: torch.device | str = "cpu") -> dict[str, float]:
    """Loss, largest eigenvalue and SAM's sharpness on the first samples of the training set."""
    from ..metrics.curvature import sam_sharpness, top_eigenvalues
    from ..metrics.minimum import surface_of

    surface = surface_of(stage, PROBED, device)
    return {
        "train_loss": surface.loss(),
        "top_hessian_eigenvalue": top_eigenvalues(surface)[0],
        "sam_sharpness": sam_sharpness(surface),
    }
