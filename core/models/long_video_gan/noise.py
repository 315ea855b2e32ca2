"""The codes of any stretch of a video, from its seed and the stretch's place alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .filters import FilterBank
from .windows import PADDING, SCALE, coded

if TYPE_CHECKING:
    from .config import Config

BLOCK = 1024  # frames of noise that are drawn at once, and codes that are filtered at once
BEFORE = PADDING * SCALE  # frames before a video's first whose codes are asked for
KEPT = 4  # blocks of codes


def white(seed: int, channels: int, first: int, count: int) -> np.ndarray:
    """float32 (channels, count), the noise from number `first` on, at least 0; the same whatever
    stretch is asked for. (With a 0 for a second word a seed's stream is that of the seed alone,
    from which other things are drawn.)"""
    blocks = range(first // BLOCK, -(-(first + count) // BLOCK))
    drawn = [_block(seed, channels, number) for number in blocks]
    start = first - blocks.start * BLOCK
    return np.concatenate(drawn, axis=1)[:, start : start + count]


def _block(seed: int, channels: int, number: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 1 + number])
    return rng.standard_normal((channels, BLOCK), dtype=np.float32)


class Codes:
    """The codes of one video. Blocks of them are filtered where they lie, so that all windows have
    the same numbers to the bit, and the newest are kept: what streams filters each block once."""

    def __init__(self, config: Config, seed: int) -> None:
        bank = FilterBank(config)

        @lru_cache(maxsize=KEPT)
        def block(number: int) -> Tensor:
            noise = white(seed, config.noise_channels, number * BLOCK, BLOCK + bank.reach)
            return bank(torch.from_numpy(noise)[None])

        self._block = block

    def __call__(self, first: int, frames: int) -> Tensor:
        """(1, C, coded(frames)): those of the frames from `first` on and of the padding around.
        ValueError where either is no multiple of SCALE, or `first` below 0: windows would not be
        pieces of one video."""
        if first < 0 or first % SCALE or frames % SCALE:
            raise ValueError(f"{frames} frames from {first} on are no multiples of {SCALE}")
        count = coded(frames)  # the first noise is the padding's before frame 0
        blocks = range(first // BLOCK, -(-(first + count) // BLOCK))
        found = torch.cat([self._block(number) for number in blocks], dim=2)
        start = first - blocks.start * BLOCK
        return found[..., start : start + count]
