"""LongVideoGAN's sampling loop: windows of small frames, and of nine of them each large one.

A video has no end, and its frames are numbered. Each is computed by the same calls with the same
numbers whatever clip asks for it: windows lie at multiples of their length, and the codes of a
place hang on the seed alone. So it is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...errors import UsageError
from ...media.steady import steady
from ...media.stream import Stream
from ...progress import OnProgress
from ..engine import Engine
from ..layers.mapping import truncated
from ..layers.pixels import to_frames
from ..request import Request
from .about import Sampling
from .conditions import WINDOW
from .config import CONTEXT
from .given import bordered, small_of
from .noise import Codes
from .windows import SCALE, coded

if TYPE_CHECKING:
    from .config import Config
    from .model import Model

FRAMES = 128  # of a clip, unless told
EARLIEST = SCALE  # the place among codes of a video's first frame: it too has frames before it
BLOCKS = coded(SCALE) // SCALE  # of codes, that a window hangs on


def check(config: Config, request: Request) -> None:
    """UsageError for a clip that cannot be read or has fewer frames than are asked for, and for
    settings that do not go with one."""
    if request.video is None:
        return
    asked = Sampling(**request.settings)
    if not asked.upsample:
        raise UsageError("a clip that is given is made large", "leave upsample out, or --video")
    if "start" in request.settings:
        raise UsageError("a clip that is given is made large from its first frame on",
                         "leave start out")  # fmt: skip
    count = steady(request.video).count
    if request.frames is not None and request.frames > count:
        raise UsageError(f"{request.video} has {count:,} frames, not {request.frames:,}",
                         f"--frames {count}")  # fmt: skip


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Stream:
    """Frames of the video of the seed, from `start` seconds of it on, or those of a clip made
    large; block after block."""
    config, asked = model.config, Sampling(**request.settings)
    check(config, request)
    count, fps = request.frames or FRAMES, request.fps or config.fps
    if request.video is not None:
        given = steady(request.video)
        count, fps = request.frames or given.count, request.fps or given.fps
        small = bordered(small_of(config, given.frames))
    else:
        first = round(asked.start * config.fps) - (CONTEXT if asked.upsample else 0)
        small = small_frames(engine, config, request.seed, first)
    if asked.upsample:
        size = config.height, config.width
        blocks = enlarged(engine, small, style(engine, model, request.seed, asked))
    else:
        size = config.low_height, config.low_width
        blocks = ((frames + 1) / 2 for frames in small)
    return Stream(counted(blocks, count, on_progress), fps, size, count)


def counted(blocks: Iterator[Tensor], count: int, on_progress: OnProgress) -> Iterator[np.ndarray]:
    """blocks: pixels (n, 3, H, W), without end -> the first `count` frames, uint8 (n, H, W, 3)."""
    done = 0
    while done < count:
        frames = next(blocks)[: count - done]
        done += len(frames)
        on_progress(done, count, "frames")
        yield to_frames(frames)


def small_frames(engine: Engine, config: Config, seed: int, first: int) -> Iterator[Tensor]:
    """(n, 3, h, w): the frames of a video from number `first` on, without end; at least -SCALE."""
    codes, styles = Codes(config, seed), {}
    number, skipped = divmod(first + EARLIEST, SCALE)
    while True:
        window = codes(number * SCALE, SCALE).split(SCALE, dim=2)
        for place, block in enumerate(window, number):
            if place not in styles:
                styles[place] = engine.run("latent", codes=block)["styles"]
        around = torch.cat([styles[number + place] for place in range(BLOCKS)], dim=2)
        yield engine.run("low", styles=around)["small"][0, skipped:]
        del styles[number]
        number, skipped = number + 1, 0


def style(engine: Engine, model: Model, seed: int, asked: Sampling) -> Tensor:
    """w (1, Z): how the large frames of a seed look."""
    z = np.random.default_rng(seed).standard_normal((1, model.config.latent), dtype=np.float32)
    w = engine.run("mapping", z=torch.from_numpy(z))["w"].cpu()
    return truncated(w, model.super_generator.SG3.mapping.w_avg.cpu(), asked.truncation)


def enlarged(engine: Engine, small: Iterator[Tensor], w: Tensor) -> Iterator[Tensor]:
    """small: (n, 3, h, w) each, in all from CONTEXT frames before the first large one, without end
    -> pixels (1, 3, H, W) each."""
    held = next(small)
    while True:
        while len(held) < WINDOW:
            held = torch.cat([held, next(small)])
        yield engine.run("super", small=held[None, :WINDOW], w=w)["pixels"][0]
        held = held[1:]
