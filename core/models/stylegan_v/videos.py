"""Videos as training makes them: what is drawn for one, and the generator's answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .generator import Generator
from .motion import WINDOW


def drawn_noise(
    config: Config, times: np.ndarray, rng: np.random.Generator, anchors: int
) -> dict[str, Any]:
    """What the generator makes the frames at `times` (T,) of: z, `anchors` noise codes, and the
    anchor of the first of these."""
    return {
        "z": rng.standard_normal(config.latent, np.float32),
        "noise": rng.standard_normal((anchors, config.latent), np.float32),
        "moments": times.astype(np.float32),
        "first": np.int64(times[0] // config.anchor_distance),
    }


def anchors_within(span: float, config: Config) -> int:
    """Noise codes for any moments of which the last is so many frames after the first."""
    return int(span) // config.anchor_distance + 1 + WINDOW


def made(
    generator: Generator,
    z: Tensor,
    noise: Tensor,
    times: Tensor,
    first: Tensor,
    label: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """z: (B, Z), noise: (B, N, M) at the anchors from `first` on, (B,), times: (B, T) in frames ->
    videos (B, T, 3, S, S) and styles (B, W). Phases are told to the last digit."""
    with torch.autocast(z.device.type, enabled=False):
        w = generator.mapping(z, label)
        motion = generator.synthesis.motion_encoder(noise, times, label, first)
    frames = times.shape[1]
    videos = generator.synthesis(motion, w.repeat_interleave(frames, 0))
    return videos.unflatten(0, (-1, frames)), w
