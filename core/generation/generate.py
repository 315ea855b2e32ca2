"""From a prompt or a seed to a clip with its receipt, for every model in the registry: the one door
to a sampling loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..files import sha256_file
from ..media.clip import Clip
from ..media.receipt import PACKAGES, make_receipt
from ..media.stream import Stream
from ..models.engine import Differentiable, threads_kept, torch_engine
from ..models.package import Loaded
from ..models.registry import sampling
from ..models.request import FILES, Request
from ..progress import OnProgress, unheard
from ..text.reader import check_prompt
from ..threads import Load
from .continued import watched

if TYPE_CHECKING:
    from ..models.engine import Engine


@dataclass(frozen=True)
class Streaming:
    """A clip that is made while its frames are taken, what makes it, and what the user should
    know: when they have been taken, also of pictures that it does not go on from. seconds: what
    each part took so far."""

    stream: Stream
    receipt: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Generated:
    """A clip, what made it, what the user should know, and the seconds each part took."""

    clip: Clip
    receipt: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def generate(
    loaded: Loaded,
    request: Request,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Generated:
    """Make one clip, whole. Arguments and errors as of `stream`."""
    made = stream(loaded, request, engine=engine, device=device, on_progress=on_progress)
    return Generated(made.stream.clip(), made.receipt, made.notes, made.seconds)


def stream(
    loaded: Loaded,
    request: Request,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Streaming:
    """One clip as its frames come. The same request and weights give the same clip.

    engine: what runs the model's graphs; PyTorch on `device` where left out, on the CPU with
    as many threads as are free. Raises UsageError for a prompt that the model cannot read or
    settings that it does not take, MissingCapability for a device that is not here.
    """
    loaded.about.check(request.asked())
    reader = loaded.model.reader
    silent = loaded.about.wordless and not request.prompt.strip()
    notes = [] if reader is None or silent else check_prompt(request.prompt, reader)
    start = time.perf_counter()
    with threads_kept():
        runner = engine or torch_engine(loaded.model.graphs(), device, Load())
        ready = time.perf_counter()
        system, progress = sampling(loaded.about), on_progress or unheard
        system.check(loaded.model.config, request, runner.name, isinstance(runner, Differentiable))
        frames = system.sample(runner, loaded.model, request, progress)
    seconds = {"prepare": ready - start, "sample": time.perf_counter() - ready}
    receipt = make_receipt(
        prompt=request.prompt or None,
        seed=request.seed,
        model=loaded.called,
        weights_sha256=loaded.sha256,
        engine=runner.name,
        settings=request.asked(),
        inputs=inputs_of(request),
        graphs=getattr(runner, "graphs", None),
        packages=(*PACKAGES, *loaded.about.packages),
    )
    timed = frames.through(lambda blocks: _timed(blocks, seconds))
    begun = None if request.extend else request.image  # a part of frames is like it
    seen = watched(timed, begun, request.last_image, notes.append)
    return Streaming(seen, receipt, notes, seconds)


def _timed(blocks: Iterator[np.ndarray], seconds: dict[str, float]) -> Iterator[np.ndarray]:
    """The blocks; the time that each took to come is added to seconds["sample"]. Between two of
    them PyTorch has as many threads as before."""
    while True:
        began = time.perf_counter()
        with threads_kept():
            block = next(blocks, None)
        seconds["sample"] += time.perf_counter() - began
        if block is None:
            return
        yield block


def inputs_of(request: Request) -> dict[str, str]:
    """The SHA-256 of each file that is given. UsageError where one cannot be read."""
    found = {}
    for name in FILES:
        if (path := getattr(request, name)) is not None:
            try:
                found[name] = sha256_file(path)
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return found
