"""Frames that a model draws between true ones, held against those that were really there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..models.engine import Engine, torch_engine
from ..models.frechet import FEWEST, Z
from ..models.registry import load
from ..models.request import Request
from ..progress import OnProgress, unheard
from ..threads import Load
from .clips import prefixed
from .world import Real, world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

USUAL = 100  # clips
SECONDS = 4.0  # of each, at most
CAPTION_SEED = 50_000
# What a model's own frames are held against: what costs nothing, and its codes of the true frame.
BESIDE = "repeated", "averaged", "reconstructed"


def interpolation(
    loaded: Loaded,
    count: int | None = None,
    seed: int = 0,
    held_out: bool = False,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Hand the model every second frame of `count` real clips, 100 where left out, at each rate
    that it draws frames between, and hold those against the true ones.

    error_after_S_s: of S seconds from a given frame to the next, the mean absolute difference of
    pixels, of 255, over all new frames; _low and _high: its 95 % interval over clips.
    ..._repeated: that of the frame before; ..._averaged: of the mean of both neighbours;
    ..._reconstructed: of the true frame through the model's own encoder and decoder, which no new
    one can beat by much. gain_after_S_s: by which share of the averaged one's error it is smaller.
    Each clip's prompt is a caption of its own. Clips, data, settings and held_out as in
    `clips.evaluate`. UsageError for a model that draws no frames between given ones, and for clips
    in which there are too few.
    """
    system, world = load(loaded.about), world_of(loaded, data)
    rates, report, count = system.rates(loaded.model), on_progress or unheard, count or USUAL
    if not rates:
        raise UsageError(f"{loaded.about.name} draws no frames between given ones",
                         "dln evaluate cogvideo --metrics interpolation")  # fmt: skip
    engine = engine or torch_engine(loaded.model.graphs(), device, Load())
    real = world.real(count, seed, held_out)
    errors = {rate: list[np.ndarray]() for rate in rates}
    for number in range(len(real)):
        row = int(real.rows[number])
        caption = real.source.caption(row, np.random.default_rng([CAPTION_SEED + seed, number]))
        request = Request.of(caption, number, settings or {})
        for rate in rates:
            frames = true_frames(real, number, rate, loaded.model.config.image_size)
            if frames is not None:
                new = system.between(engine, loaded.model, request, frames[::2], rate)
                again = system.reconstruct(loaded.model, frames[1::2])
                errors[rate].append(held_against(frames, new, again))
        report(number + 1, len(real), "clips")
    found: dict[str, Any] = {"count": len(real)}
    for rate, rows in errors.items():
        if not rows:
            raise UsageError(f"no clip has three frames at {rate:g} a second", "--data menagerie")
        found |= told(f"after_{1 / rate:g}_s", np.array(rows))
    return prefixed(found, held_out)


def true_frames(real: Real, number: int, rate: float, size: int) -> np.ndarray | None:
    """uint8 (2 F - 1, size, size, 3): F given frames at `rate`, as many as fit and an odd number,
    with those between; None for too short a clip."""
    seconds = min(real.duration(number), SECONDS)
    given = int(seconds * rate + 1e-6) + 1
    given -= 1 - given % 2
    if given < 3:
        return None
    times = np.arange(2 * given - 1) / (2 * rate)
    return real.frames(number, times, seconds, (size, size))[0]


def held_against(frames: np.ndarray, new: np.ndarray, again: np.ndarray | None) -> np.ndarray:
    """frames: (2 F - 1, H, W, 3), of which every second was given; new: (F - 1, H, W, 3), again:
    the true ones through the tokenizer -> errors of new, and of BESIDE."""
    true = frames[1::2].astype(np.float32)
    before, after = frames[:-1:2].astype(np.float32), frames[2::2].astype(np.float32)
    tried = [new, before, (before + after) / 2, true if again is None else again]
    return np.array([np.abs(each.astype(np.float32) - true).mean() for each in tried])


def told(when: str, rows: np.ndarray) -> dict[str, float | None]:
    """rows: (clips, 1 + BESIDE) errors -> what is said of them."""
    own, *beside = rows.mean(axis=0).tolist()
    spread = Z * rows[:, 0].std(ddof=1) / len(rows) ** 0.5 if len(rows) >= FEWEST else None
    name = f"error_{when}"
    found: dict[str, float | None] = {name: own}
    if spread is not None:
        found |= {f"{name}_low": own - spread, f"{name}_high": own + spread}
    found |= {f"{name}_{what}": error for what, error in zip(BESIDE, beside, strict=True)}
    averaged = found[f"{name}_averaged"]
    return found | {f"gain_{when}": 1 - own / averaged if averaged else None}
