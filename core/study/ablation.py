"""What each part of a method is worth: the last stage of a training, with parts changed or left
out, on the same stages before it, the same lessons in the same order and the same seeds."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from ..errors import Interrupted, UsageError, closest
from ..files import atomic_write, make_folder
from ..progress import OnProgress, unheard
from ..text.shown import in_markdown
from ..training.events import Evaluated, Event, Stepped, silent
from ..training.fit import fit
from ..training.options import TrainOptions
from ..training.run import Run
from ..training.settings import FitSettings
from .report import NUMBERS, PAGE

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ..data import Source
    from ..models.package import Loaded
    from ..models.system import SystemModel
    from ..training.stage import Stage

PICTURES, SIZE = 24, (256, 512)  # that are drawn and measured of each training; height and width
ALL = "all"
FIELDS = ("loss", "loss_of_clips", "block_frechet_distance", "seams", "step_ms",
          "seconds_per_picture")  # fmt: skip


@dataclass(frozen=True)
class Ablation:
    """What to compare: every variant once for each seed.

    model: a name, run or file whose earlier stages are taken as they are; variants: of those that
    its system tells, the first is what the others are held against. data: None for what the weights
    learnt from. count: samples of them, None for all. pictures and size: drawn after each training.
    """

    model: str
    variants: tuple[str, ...] = (ALL,)
    data: str | None = None
    seeds: int = 1
    epochs: int = 1
    count: int | None = None
    lr: float | None = None
    pictures: int = PICTURES
    size: tuple[int, int] = SIZE

    def __post_init__(self) -> None:
        if min(self.seeds, self.epochs, self.pictures) < 1:
            raise UsageError("seeds, epochs and pictures are at least 1")


@dataclass(frozen=True)
class Arm:
    """One training. loss and loss_of_clips: of lessons that did not teach, None where there are
    none; step_ms: median; the others as `metrics.blocks` tells them of its pictures."""

    variant: str
    seed: int
    loss: float | None
    loss_of_clips: float | None
    block_frechet_distance: float
    seams: float | None
    step_ms: float
    seconds_per_picture: float


@dataclass(frozen=True)
class Ablated:
    """What came of it."""

    request: Ablation
    arms: tuple[Arm, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A row a variant: the means of its seeds, None for what none of them has."""
        names = dict.fromkeys(arm.variant for arm in self.arms)
        return [{"variant": name, **{field: self._mean(name, field) for field in FIELDS}}
                for name in names]  # fmt: skip

    def _mean(self, variant: str, field: str) -> float | None:
        own = [getattr(arm, field) for arm in self.arms if arm.variant == variant]
        return None if None in own else statistics.fmean(own)

    def to_json(self) -> dict[str, Any]:
        arms = [asdict(arm) for arm in self.arms]
        return {"request": asdict(self.request), "rows": self.rows(), "arms": arms}


def chosen(
    variants: tuple[str, ...], known: Mapping[str, Mapping[str, Any]], config: Any
) -> tuple[str, ...]:
    """The variants by their names; for ALL those that differ of this configuration. UsageError for
    one that the system does not tell."""
    from ..runs.build import override

    if variants == (ALL,):
        configs = {
            override(config, changed): name for name, changed in reversed(list(known.items()))
        }
        return tuple(name for name in known if name in configs.values())
    for name in variants:
        if name not in known:
            raise UsageError(f"no variant {name!r}.{closest(name, known)}",
                             f"--against all, or of {', '.join(known)}")  # fmt: skip
    return tuple(dict.fromkeys(variants))


def ablation(request: Ablation, on_progress: OnProgress | None = None) -> Ablated:
    """Train every variant with every seed, one after the other, and draw pictures by each.

    UsageError for a model without variants or without weights of the stages before, and for
    variants and data that there are none of. Interrupted after Ctrl-C, with nothing kept.
    """
    from accelerate import Accelerator

    from ..data import open_source
    from ..metrics.world import trained_on
    from ..models.package import load_model
    from ..models.registry import load

    report, loaded = on_progress or unheard, load_model(request.model)
    known = load(loaded.about).ablations
    if not known:
        raise UsageError(f"{loaded.about.name} tells no variants of its method to compare",
                         "dln bench nuwa-infinity --against all")  # fmt: skip
    names = chosen(request.variants, known, loaded.model.config)
    data = request.data or trained_on(loaded.card)
    if data is None:
        raise UsageError(f"{loaded.path} does not say what it was trained on", "--data NAME|DIR")
    source = open_source(data, count=request.count, wordless=loaded.about.wordless)
    accelerator, arms = Accelerator(mixed_precision="no"), []
    total = request.seeds * len(names)
    with TemporaryDirectory(prefix="dln-ablation-") as folder:
        for seed in range(request.seeds):
            for name in names:
                report(len(arms), total, f"{name}, seed {seed}")
                trial = Trial(request, loaded, source, data, Path(folder), accelerator)
                try:
                    arms.append(trial.carried_out(name, known[name], seed))
                except Interrupted as error:
                    raise Interrupted(
                        f"stopped in training {len(arms) + 1} of {total}; nothing of it is kept",
                        hint="the same command again, with fewer variants, --seeds or --epochs",
                    ) from error
    report(total, total, "trainings")
    return Ablated(request, tuple(arms))


@dataclass(frozen=True)
class Trial:
    """What all trainings of one comparison share."""

    request: Ablation
    loaded: Loaded
    source: Source
    data: str
    folder: Path
    accelerator: Accelerator

    def carried_out(self, name: str, changed: Mapping[str, Any], seed: int) -> Arm:
        """One variant from one seed, trained and measured."""
        from ..metrics.blocks import blocks
        from ..models.package import Loaded

        model, stage = self.begun(changed, seed)
        metrics, step_ms = self.trained(stage, f"{name}-{seed}", seed)
        card = {"data": {"name": self.data}}
        about, path = self.loaded.about, self.loaded.path
        drawn = blocks(
            Loaded(model.eval(), about, card, "", path, False),
            self.request.pictures,
            settings={"size": self.request.size},
            device=str(self.accelerator.device),
        )
        return Arm(
            name, seed, metrics.get("loss"), metrics.get("loss_of_clips"),
            drawn["block_frechet_distance"], drawn.get("seams"), step_ms,
            drawn["seconds_per_picture"],
        )  # fmt: skip

    def begun(self, changed: Mapping[str, Any], seed: int) -> tuple[SystemModel, Stage]:
        """A model of the variant and its last stage, whose networks are drawn from the seed; all
        others are as they were loaded."""
        from ..models.registry import load
        from ..runs.build import made, override
        from ..text.vocabulary import Vocabulary

        system, loaded = load(self.loaded.about), self.loaded.model
        reader = loaded.reader
        words = reader.words if isinstance(reader, Vocabulary) else []
        torch.manual_seed(seed)
        model = made(system, override(loaded.config, changed), words)
        stage = system.stages(model, self.source, TrainOptions(data=self.data, seed=seed))[-1]
        fresh = {id(tensor) for tensor in (*stage.modules.parameters(), *stage.modules.buffers())}
        there = loaded.state_dict()
        with torch.no_grad():
            for key, tensor in model.state_dict(keep_vars=True).items():
                if id(tensor) not in fresh:
                    tensor.copy_(there[key])
        return model.to(self.accelerator.device), stage

    def trained(self, stage: Stage, name: str, seed: int) -> tuple[dict[str, float], float]:
        """What the stage says of itself in the end, and the milliseconds of a step."""
        from ..training.accelerator import default_precision

        stage.prepare(self.folder / "cache", silent)
        player = stage.players[0]
        player.learning_rate = self.request.lr or player.learning_rate
        steps = math.ceil(len(stage) / stage.batch)
        stage.steps = self.request.epochs * steps
        settings = FitSettings(
            seed=seed, checkpoint_seconds=None, log_every=min(20, steps),
            evaluate_every=stage.steps, precision=default_precision(self.accelerator.device),
        )  # fmt: skip
        heard: list[Event] = []
        run = Run.create(self.folder / name, {"model": self.loaded.about.name})
        fit(stage, settings, run, self.accelerator, heard.append)
        rates = [event.rate for event in heard if isinstance(event, Stepped)]
        metrics = [event.metrics for event in heard if isinstance(event, Evaluated)]
        return metrics[-1], 1000 * stage.batch / statistics.median(rates)


def cells(found: Ablated) -> list[tuple[str, ...]]:
    """A row a variant, under COLUMNS."""

    def told(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"

    return [(row["variant"], *(told(row[field]) for field in FIELDS)) for row in found.rows()]


COLUMNS = ("variant", *(field.replace("_", " ") for field in FIELDS))


def about(found: Ablated) -> str:
    """What the rows are of."""
    asked = found.request
    height, width = asked.size
    return (
        f"{asked.model}: {asked.seeds} seeds, {asked.epochs} epochs, means over seeds; loss in "
        f"nats a code, of lessons that did not teach; {asked.pictures} pictures of "
        f"{width} x {height} a training"
    )


def write(folder: Path, found: Ablated) -> list[Path]:
    """study.md and study.json."""
    make_folder(folder)
    lines = ["# Variants", "", in_markdown(about(found)), "", f"| {' | '.join(COLUMNS)} |"]
    lines += [f"|{' --- |' * len(COLUMNS)}", *(f"| {' | '.join(row)} |" for row in cells(found))]
    with atomic_write(folder / PAGE, "w") as file:
        file.write("\n".join([*lines, ""]))
    with atomic_write(folder / NUMBERS, "w") as file:
        json.dump(found.to_json(), file, indent=2)
    return [folder / PAGE, folder / NUMBERS]
