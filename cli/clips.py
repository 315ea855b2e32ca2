"""Clips made and written one after the other, shown on a terminal as they are done."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability, UsageError, reason_of
from dln.core.installed import has_torch, install_line
from dln.core.threads import Load

from .assign import parse_overrides
from .libraries import share_cores
from .options import Precision
from .places import check_places
from .progress import progress
from .show import screen

if TYPE_CHECKING:
    from dln.core.generation.best import Best
    from dln.core.generation.generate import Streaming
    from dln.core.media.stream import Stream

Check = Callable[[str, bool], object]

PLAYED = 512  # frames of a clip that a terminal plays


class Engine(StrEnum):
    """What computes the model's graphs; auto: ONNX Runtime where that takes no export."""

    auto = "auto"
    torch = "torch"
    onnx = "onnx"
    trt = "trt"


def sampler_settings(words: Sequence[str] | None) -> dict[str, Any]:
    """--set of a sampler. UsageError for what has a flag of its own."""
    from dln.core.models.request import SHARED

    found = parse_overrides(words or [])
    for name, flag in SHARED.items():
        if name in found:
            raise UsageError(f"{name} is no setting of a sampler.", f"{flag}, where models take it")
    return found


def watched() -> Load:
    """What else this machine does, from here on. Before PyTorch is loaded, whose threads are told
    how to wait."""
    share_cores()
    return Load()


@dataclass(frozen=True)
class Runner:
    """What computes, and where. UsageError for what PyTorch has no use for. load: what else the
    machine does, watched from here on, while PyTorch is loaded."""

    engine: Engine
    precision: Precision
    graphs: Path | None
    device: str
    load: Load = field(default_factory=watched, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.graphs and self.engine is Engine.auto:
            object.__setattr__(self, "engine", Engine.onnx)  # which takes no export then
        if not self.graphs and not has_torch():
            raise MissingCapability("PyTorch is not installed: without it the graphs of an export "
                                    "are run", f"--graphs DIR; or {install_line()}")  # fmt: skip
        if self.is_torch and (self.graphs or self.precision is not Precision.fp32):
            raise UsageError("--precision and --graphs are of exported graphs.", "--engine onnx")

    @property
    def is_torch(self) -> bool:
        """Whether it is PyTorch, or where need be."""
        return self.engine in (Engine.torch, Engine.auto)

    @property
    def named(self) -> str:
        """As receipts name it: "onnx", "onnx-int8"."""
        if self.is_torch:
            return Engine.torch.value
        plain = self.precision is Precision.fp32
        return self.engine.value if plain else f"{self.engine.value}-{self.precision.value}"

    def open(self, loaded: Any, check: Check = lambda engine, gradients: None) -> Any:
        """The engine. check: refuses one by its name, and by whether it has gradients, that cannot
        do what is asked."""
        if self.engine is Engine.auto and able(check):
            from dln.export.open import fastest_engine

            return fastest_engine(loaded, self.device, screen.note, self.load)
        if self.is_torch:  # which takes nothing of export
            from dln.core.models.engine import torch_engine

            return torch_engine(loaded.model.graphs(), self.device, self.load, screen.note)
        from dln.export.open import open_engine

        names = self.engine.value, loaded, self.device, self.precision.value
        return open_engine(*names, on_note=screen.note, folder=self.graphs, load=self.load)


def able(check: Check) -> bool:
    """Whether ONNX Runtime can do what PyTorch can."""
    try:
        check(Engine.onnx.value, False)
    except DlnError:
        return False
    return True


@dataclass(frozen=True)
class Job:
    """What was asked for, resolved: paths[i] gets the clip of seeds[i], or the one path the mosaic
    of all of them."""

    prompt: str
    model: str
    seeds: Sequence[int]
    paths: Sequence[Path]
    runner: Runner
    wish: dict[str, Any]
    native: bool
    force: bool
    best_of: int = 1
    grid: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        named = {"model": self.model, "prompt": self.prompt, "seed": self.seeds[0]}
        runner = {"engine": self.runner.engine.value, "device": self.runner.device}
        if not self.runner.is_torch:
            runner["precision"] = self.runner.precision.value
        ranked = {"best_of": self.best_of} if self.best_of > 1 else {}
        tiled = {"grid": len(self.seeds)} if self.grid else {}
        return named | runner | ranked | tiled | self.wish

    def ran(self, engine: str) -> dict[str, Any]:
        """What the settings say wrongly once it is known what computed."""
        return {"engine": engine} if self.runner.engine is Engine.auto else {}


@dataclass(frozen=True)
class Made:
    """What the user is told of a clip that is written."""

    frames: int
    size: tuple[int, int]
    fps: float
    engine: str
    notes: list[str]
    seconds: dict[str, float]
    ranking: dict[str, Any]


def fulfil(job: Job, preview: bool | None, drawn: bool) -> list[Made]:
    """Load the model once, then make, write and play each clip in turn; say a drawn seed."""
    from dln.core.models.package import load_sampled

    with ExitStack() as opening:  # before what takes long: another run may be at it
        opening.enter_context(held(job, job.paths[0]))
        loaded = load_sampled(job.model)
        if drawn:
            screen.note(f"seed {job.seeds[0]}")
        playing = wants_preview(preview)
        engine = job.runner.open(loaded, partial(check, job, loaded))
        made = [make(job, loaded, job.seeds[0], engine, job.paths[0], playing)]
    for seed, path in zip(job.seeds[1:], job.paths[1:], strict=not job.grid):
        with held(job, path):
            made.append(make(job, loaded, seed, engine, path, playing))
    return made


def check(job: Job, loaded: Any, engine: str, gradients: bool) -> None:
    """UsageError and MissingCapability for what the weights, or this engine, have no way with."""
    from dln.core.models.registry import sampling
    from dln.core.models.request import Request

    request = Request.of(job.prompt, job.seeds[0], job.wish)
    sampling(loaded.about).check(loaded.model.config, request, engine, gradients)


@contextmanager
def held(job: Job, path: Path) -> Iterator[None]:
    """Inside, no other run writes there. UsageError where one is at it, or has been by now."""
    from dln.core.files import claimed

    with claimed(path):
        check_places([path], job.force)
        yield


def make(job: Job, loaded: Any, seed: int, engine: Any, path: Path, playing: bool) -> Made:
    """One clip, written as its frames come, and played."""
    from dln.core.models.request import Request

    request = Request.of(job.prompt, seed, job.wish)
    shown: list[Any] = []
    with progress() as report:
        options: Any = dict(engine=engine, device=job.runner.device, on_progress=report)
        result, ranked = computed(job, loaded, request, options)
        frames = result.stream
        if playing and not frames.banded:
            frames = frames.heard(lambda block: keep(shown, block))
        write(frames, result.receipt, path, job.native, job.force)
    for remark in result.notes:
        screen.note(remark)
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in result.seconds.items())
    screen.detail(f"seed {seed}: {seconds}")
    if shown:
        show_clip(shown, frames.fps, loops=2 if len(job.paths) == 1 else 1)
    told = result.notes, result.seconds, ranked
    return Made(frames.frames, frames.size, frames.fps, engine.name, *told)


def keep(shown: list[Any], block: Any) -> None:
    """The first frames of a clip, as many as a terminal plays."""
    left = PLAYED - sum(map(len, shown))
    if left > 0:
        shown.append(block[:left].copy())


def computed(
    job: Job, loaded: Any, request: Any, options: Any
) -> "tuple[Streaming, dict[str, Any]]":
    """One clip, a mosaic of all, or the best of several with who took part; what each scored is
    said where details are asked for."""
    if job.grid:
        from dln.core.generation.grid import stream_grid

        count = len(job.seeds)
        return stream_grid(loaded, request, count, **options), {"grid": count}
    if job.best_of == 1:
        from dln.core.generation.generate import stream

        return stream(loaded, request, **options), {}
    from dln.core.generation.best import generate_best
    from dln.core.generation.generate import Streaming
    from dln.core.media.stream import Stream

    best = generate_best(loaded, request, job.best_of, **options)
    for number, each in enumerate(best.candidates):
        kept = ", kept" * (number == best.winner)
        screen.detail(f"candidate {number}, seed {each.seed}: score {each.score:.3f}{kept}")
    whole = Streaming(Stream.of(best.clip), best.receipt, best.notes, best.seconds)
    return whole, ranking(best)


def write(frames: "Stream", receipt: dict[str, Any], path: Path, native: bool, force: bool) -> None:
    from dln.core.media.video import write_stream

    scale = 1 if native else None
    write_stream(frames, path, receipt=receipt, scale=scale, overwrite=force)


def wants_preview(preview: bool | None) -> bool:
    """Whether to play: asked for or on a terminal, and never into a result for programs."""
    from .preview import can_play

    if preview is False or screen.json or screen.quiet:
        return False
    able = can_play()
    if preview and not able:
        screen.note("no preview: it takes a terminal with colours on stdin and stdout.")
    return able


def show_clip(blocks: list[Any], fps: float, loops: int) -> None:
    """Play the clip; a terminal that answers oddly costs the preview, never the clip."""
    import numpy as np

    from dln.core.media.clip import Clip

    from .preview import play

    try:
        play(Clip(np.concatenate(blocks), fps), loops)
    except Exception as error:
        screen.note(f"no preview: {reason_of(error)}")


def ranking(best: "Best") -> dict[str, Any]:
    """Every candidate with its score, which one won, and its own seed."""
    told = [{"seed": each.seed, "score": each.score} for each in best.candidates]
    return {"seed": told[best.winner]["seed"], "winner": best.winner, "candidates": told}
