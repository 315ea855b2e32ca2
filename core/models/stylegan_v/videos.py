"""Videos as training makes them."""

from __future__ import annotations

from torch import Tensor

from ..layers.precision import full_precision
from .config import Config
from .generator import Generator
from .motion import WINDOW


def anchors_within(span: float, config: Config) -> int:
    """Noise codes for any moments of which the last is so many frames after the first."""
    return int(span) // config.anchor_distance + 1 + WINDOW


def made(
    generator: Generator,
    z: Tensor,
    noise: Tensor,
    times: Tensor,
    label: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """z: (B, Z), noise: (B, N, M) at the anchors from the last before its first moment on, times:
    (B, T) in frames, ascending -> videos (B, T, 3, S, S) and styles (B, W). Phases are told to the
    last digit."""
    encoder = generator.synthesis.motion_encoder
    with full_precision(z):
        w = generator.mapping(z, label)
        first = (times[:, 0] / encoder.distance).floor().long()
        motion = encoder(noise, times, label, first)
    frames = times.shape[1]
    videos = generator.synthesis(motion, w.repeat_interleave(frames, 0))
    return videos.unflatten(0, (-1, frames)), w
