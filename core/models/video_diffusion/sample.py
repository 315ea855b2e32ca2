"""Video Diffusion's sampling loop: the base from noise, then the super-resolution.

Written against `engine.run` alone. All noise is drawn on the host from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...clip import Clip
from ...errors import UsageError
from ...generate import Request
from ..graph import Engine, TorchEngine
from ..layers.pixels import to_frames
from .samplers import dpm_solver, log_snrs
from .schedule import cosine_log_snr, noised
from .text import encode_words

if TYPE_CHECKING:
    from . import Model

OnProgress = Callable[[int, int, str], None]
STEPS, UPSAMPLE_STEPS = 24, 6
GUIDANCE = 3.0
AUGMENTATION = 0.2  # the time at which noise is laid over the given frames


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    model: Model
    rng: np.random.Generator
    tell: Callable[[], None]

    def noise(self, *shape: int) -> Tensor:
        """Standard normals from the host."""
        return torch.from_numpy(self.rng.standard_normal(shape, dtype=np.float32))

    def read(self, prompt: str, later: bool = False) -> dict[str, Tensor]:
        """The vectors of a caption: base_text and upsample_text, (1, C)."""
        config = self.model.config
        words, seen = encode_words(self.model.vocabulary, [prompt], config.text_length, [later])
        return self.engine.run("text", words=words, seen=seen)

    def base(self, text: Tensor, steps: int, guidance: float) -> Tensor:
        """(1, C) -> frames (1, F, 3, h, w) in [-1, 1]."""
        config = self.model.config
        shape = 1, config.frames, 3, config.base.image_size, config.base.image_size
        weight = torch.tensor([guidance])

        def denoise(z: Tensor, log_snr: float) -> Tensor:
            at = torch.tensor([log_snr])
            x = self.engine.run("base", z=z, log_snr=at, text=text, guidance=weight)["x"]
            self.tell()
            return x.cpu()

        times = log_snrs(steps, config.base.shift)
        return dpm_solver(denoise, self.noise(*shape), times, lambda: self.noise(*shape))

    def finer(self, frames: Tensor, text: Tensor, steps: int) -> Tensor:
        """frames: (1, F, 3, h, w) -> (1, F, 3, H, W), in [-1, 1]."""
        config = self.model.config
        shape = 1, frames.shape[1], 3, config.upsample.image_size, config.upsample.image_size
        level = cosine_log_snr(torch.tensor([AUGMENTATION]))
        given = noised(frames, self.noise(*frames.shape), level)

        def denoise(z: Tensor, log_snr: float) -> Tensor:
            x = self.engine.run(
                "upsample",
                z=z,
                log_snr=torch.tensor([log_snr]),
                text=text,
                given=given,
                given_log_snr=level,
            )["x"]
            self.tell()
            return x.cpu()

        times = log_snrs(steps, config.upsample.shift)
        return dpm_solver(denoise, self.noise(*shape), times, lambda: self.noise(*shape))


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Clip:
    """A clip for the prompt, or its first `frames`."""
    config = model.config
    frames = config.frames if request.frames is None else request.frames
    if frames > config.frames:
        raise UsageError(f"video-diffusion makes at most {config.frames} frames, not {frames}")
    total, done = STEPS + UPSAMPLE_STEPS, 0

    def tell() -> None:
        nonlocal done
        done += 1
        on_progress(done, total, "steps")

    loop = Loop(engine, model, np.random.default_rng(request.seed), tell)
    text = loop.read(request.prompt)
    guidance = GUIDANCE if request.guidance is None else request.guidance
    low = loop.base(text["base_text"], STEPS, guidance)
    high = loop.finer(low, text["upsample_text"], UPSAMPLE_STEPS)
    pixels = (high[0, :frames] + 1) / 2
    return Clip(to_frames(pixels), request.fps or config.fps)


def preview(model: Model, prompt: str) -> Clip:
    """What the base in training makes of a prompt."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    loop = Loop(engine, model, np.random.default_rng(0), lambda: None)
    low = loop.base(loop.read(prompt)["base_text"], 12, GUIDANCE)
    return Clip(to_frames((low[0] + 1) / 2), model.config.fps)


def restored(model: Model, caption: str, small: Tensor) -> Clip:
    """small: (F, 3, h, w) in [0, 1] -> what the super-resolution in training makes of it."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    loop = Loop(engine, model, np.random.default_rng(0), lambda: None)
    text = loop.read(caption)["upsample_text"]
    high = loop.finer(2 * small[None] - 1, text, UPSAMPLE_STEPS)
    return Clip(to_frames((high[0] + 1) / 2), model.config.fps)
