"""StyleGAN-V's sampling loop: one style a video, a motion code a moment, pictures in blocks.

Written against `engine.run`, and `engine.gradient` where a picture is given. The noise code of each
anchor is a function of the seed and the anchor's number alone, so that any moment can be asked for
without those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import MissingCapability, UsageError, closest
from ...media.picture import picture
from ...media.stream import Stream
from ...progress import OnProgress
from ..engine import Differentiable, Engine
from ..layers.mapping import truncated
from ..layers.pixels import to_frames, to_pixels
from ..request import Request
from .about import Sampling
from .graphs import block_frames
from .motion import WINDOW
from .projection import project

if TYPE_CHECKING:
    from .config import Config
    from .model import Model

FRAMES = 128  # of a clip, unless told
DIGITS = 6  # of a moment, in frames: however it is summed up, it is the same


def check(config: Config, request: Request, engine: str, gradients: bool) -> None:
    """UsageError for a class that these weights do not know, and for settings that do not go with a
    picture or its absence; MissingCapability for a picture where `engine` has no gradients."""
    names, label = config.classes, request.label
    if label is not None and label not in names:
        hint = f"one of {', '.join(names)}" if names else "leave --class out"
        raise UsageError(f"these weights know no class {label!r}.{closest(label, names)}", hint)
    if request.image is None and "steps" in request.settings:
        raise UsageError("steps are of the search for a picture's latent", "--image FILE")
    if request.image is not None and "truncation" in request.settings:
        raise UsageError("a picture has a latent of its own, which nothing truncates",
                         "leave truncation out")  # fmt: skip
    if request.image is not None and not gradients:
        raise MissingCapability(
            f"finding a picture's latent takes gradients, which {engine} does not compute",
            hint="--engine torch",
        )


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """The frames at start + i / fps seconds, i from 0 on, block after block."""
    config, asked = model.config, Sampling(**request.settings)
    check(config, request, engine.name, isinstance(engine, Differentiable))
    frames, fps = request.frames or FRAMES, request.fps or config.shown
    seed = request.seed if asked.motion_seed is None else asked.motion_seed
    rng = np.random.default_rng(request.seed)
    z = torch.from_numpy(rng.standard_normal((1, config.latent), dtype=np.float32))
    label = chosen(config, request.label, rng)

    def motion(numbers: np.ndarray) -> Tensor:
        return motion_at(engine, config, seed, moments(asked.start, numbers, fps, config), label)

    if request.image is None:
        w = engine.run("mapping", z=z, **label)["w"].cpu()
        w = truncated(w, model.generator.mapping.w_avg.cpu(), asked.truncation)
    else:
        assert isinstance(engine, Differentiable)
        target = to_pixels(picture(request.image, (config.side, config.side)))
        w = project(engine, model, target, motion(np.arange(1)), rng, asked.steps, on_progress,
                    label)  # fmt: skip

    def blocks() -> Iterator[np.ndarray]:
        size = block_frames(config)
        for first in range(0, frames, size):
            numbers = np.arange(first, min(first + size, frames))
            codes = motion(numbers)
            pixels = engine.run("synthesis", motion=codes, w=w.repeat(len(codes), 1))["pixels"]
            on_progress(int(numbers[-1]) + 1, frames, "frames")
            yield to_frames(pixels)

    return Stream(blocks(), fps, (config.side, config.side), frames)


def chosen(config: Config, label: str | None, rng: np.random.Generator) -> dict[str, Tensor]:
    """The graphs' input of a class, (1, classes), one that `rng` draws where none is asked for; no
    input for weights without classes."""
    names = config.classes
    if not names:
        return {}
    place = int(rng.integers(len(names))) if label is None else names.index(label)
    return {"label": F.one_hot(torch.tensor([place]), len(names)).float()}


def moments(start: float, numbers: np.ndarray, fps: float, config: Config) -> np.ndarray:
    """Frames of a clip by their numbers -> float64, when they are, in frames of the data's rate."""
    return np.round((start + numbers / fps) * config.fps, DIGITS)


def motion_at(
    engine: Engine, config: Config, seed: int, times: np.ndarray, label: dict[str, Tensor]
) -> Tensor:
    """times: (T,) in frames of the data's rate, label: as of `chosen` -> motion codes (T, Z).

    The clock of the waves starts anew every `longest_period` frames. That changes phases alone,
    which each anchor draws afresh, and at an anchor the waves are zero; while an angle of float32
    an hour in would be wrong by a hundredth of a radian, and another one on each engine.
    """
    distance = config.anchor_distance
    anchors = np.floor(times / distance).astype(np.int64)
    turn = config.longest_period // distance  # anchors
    begun = anchors // turn * turn
    return engine.run(
        "motion",
        noise=torch.from_numpy(noise_around(seed, anchors, config.latent)),
        anchor=_single((anchors - begun) * distance),
        moment=_single(times - begun * distance),
        **{name: row.expand(len(times), -1) for name, row in label.items()},
    )["motion"].cpu()


def noise_around(seed: int, anchors: np.ndarray, latent: int) -> np.ndarray:
    """anchors: (T,), numbers -> float32 (T, WINDOW, latent), the noise codes of each and of those
    after it."""
    needed, places = np.unique(anchors[:, None] + np.arange(WINDOW), return_inverse=True)
    codes = np.stack([noise_code(seed, int(anchor), latent) for anchor in needed])
    return codes[places.reshape(len(anchors), WINDOW)]


def noise_code(seed: int, anchor: int, latent: int) -> np.ndarray:
    """float32 (latent,): of the anchor of that number, from 0 on. (With a 0 for a second word a
    seed's stream is that of the seed alone, from which the style is drawn.)"""
    rng = np.random.default_rng([seed, 1 + anchor])
    return rng.standard_normal(latent, dtype=np.float32)


def _single(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
