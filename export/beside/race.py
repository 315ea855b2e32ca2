"""All contenders, in turn within one process: whatever slows the machine down slows all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from dln.core.errors import MissingCapability, UsageError
from dln.core.models.engine import pick_device, take_threads, threads_kept
from dln.core.progress import OnProgress, unheard
from dln.core.training.speed import waiter

from ..bench import machine
from . import others, own
from .own import Engines
from .rows import LEAST_ROUNDS, Absent, Contender, Row, row

GROUPS = ("tokens", "denoising", "frames")
LEAST_S = 0.05  # that a contender is measured for in a round
MOST_CALLS = 1000


@dataclass(frozen=True)
class Race:
    """rounds: in which each contender has its turn. UsageError for what cannot be raced."""

    engines: tuple[str, ...] = ("torch", "onnx")
    rounds: int = 15
    threads: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.rounds < LEAST_ROUNDS:
            raise UsageError(f"{LEAST_ROUNDS} rounds at least tell an interval, not {self.rounds}",
                             f"--runs {LEAST_ROUNDS}")  # fmt: skip
        for engine in self.engines:
            if engine not in ("torch", "onnx"):
                raise UsageError(f"--beside is of torch and onnx, not of {engine}",
                                 "dln bench MODEL --engine NAME")  # fmt: skip


@dataclass(frozen=True)
class Raced:
    """What took how long, what is not here, and where."""

    machine: dict[str, Any]
    rounds: int
    rows: list[Row]
    absent: list[Absent]

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def race(asked: Race, on_progress: OnProgress = unheard) -> Raced:
    """Every group, one after the other. Weights are random, all in fp32. MissingCapability for a
    device or an engine that is not here."""
    device, about = pick_device(asked.device), machine()
    rows, absent = list[Row](), list[Absent]()
    with threads_kept(), TemporaryDirectory(prefix="dln-beside-") as folder:
        if asked.threads:
            take_threads(asked.threads)
        about |= {"threads": torch.get_num_threads(), "device": device}
        engines = Engines(tuple(dict.fromkeys(("torch", *asked.engines))), device, Path(folder))
        for number, group in enumerate(GROUPS):
            on_progress(number, len(GROUPS), "groups")
            torch.manual_seed(0)
            with torch.inference_mode(False), torch.no_grad():
                there = list(contenders(group, engines, absent))
                rows += timed(there, asked.rounds, waiter(device), on_progress)
            there.clear()
            gc.collect()
        on_progress(len(GROUPS), len(GROUPS), "groups")
    return Raced(about, asked.rounds, rows, absent)


def contenders(group: str, engines: Engines, absent: list[Absent]) -> Iterator[Contender]:
    """dln's own of a group, then the others; what is not here is put into `absent`."""
    others_of: dict[str, Callable[[], Contender]] = {}
    if group == "tokens":
        model = own.drawn("cogvideo")
        yield from own.tokens(model, engines)
        c, cached = model.config, model.graphs()["image"].sizes["cached"].typical
        like = {"codes": c.codes, "width": c.width, "layers": c.layers, "heads": c.heads}
        for name, before, sizes in (
            ("GPT-2 of cogvideo's sizes", cached, like),
            ("GPT-2 of VideoGPT's sizes", others.VIDEOGPT_TOKENS // 2, others.VIDEOGPT),
        ):
            others_of[name] = partial(others.gpt2, name, engines.device, before, **sizes)
    elif group == "denoising":
        clip = others.Clip()
        yield from own.denoising(clip, engines)
        others_of = {"video-diffusion-pytorch": partial(others.unet3d, clip, engines.device),
                     "diffusers": partial(others.diffusers, clip, engines.device)}  # fmt: skip
    else:
        model = own.drawn("stylegan-v", "vistas")
        yield from own.frames(model, engines)
        c, count = model.config, model.graphs()["synthesis"].sizes["frames"].typical
        widths = [c.channels(side) for side in c.sides]
        yield others.stylegan2(c.latent, widths, count, engines.device)
    for name, make in others_of.items():
        try:
            yield make()
        except MissingCapability as error:
            absent.append(Absent(group, name, error.message, error.hint))


def timed(
    contenders: list[Contender], rounds: int, wait: Callable[[], None], on_progress: OnProgress
) -> list[Row]:
    """Each contender once a round, for LEAST_S at least; a first round is not counted."""
    threads, seconds = torch.get_num_threads(), [list[float]() for _ in contenders]
    calls = [times_of(one, threads, wait) for one in contenders]
    for number in range(rounds):
        on_progress(number, rounds, contenders[0].group)
        for one, many, found in zip(contenders, calls, seconds, strict=True):
            found.append(spent(one, many, threads, wait) / many / one.count)
    return [row(one, found, seconds[0]) for one, found in zip(contenders, seconds, strict=True)]


def times_of(one: Contender, threads: int, wait: Callable[[], None]) -> int:
    """Calls that take LEAST_S, once it is warm."""
    spent(one, 1, threads, wait)
    took = spent(one, 1, threads, wait)
    return min(MOST_CALLS, max(1, round(LEAST_S / max(took, 1e-6))))


def spent(one: Contender, calls: int, threads: int, wait: Callable[[], None]) -> float:
    """Seconds of so many calls."""
    take_threads(1 if one.onnx else threads)
    wait()
    began = time.perf_counter()
    for _ in range(calls):
        one.call()
    wait()
    took = time.perf_counter() - began
    take_threads(threads)
    return took
