"""A clip of anybody's as the small frames of which large ones are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ...media.picture import fitted
from ..layers.pixels import to_pixels
from .config import CONTEXT

if TYPE_CHECKING:
    from .config import Config


def small_of(config: Config, frames: Iterator[np.ndarray]) -> Iterator[Tensor]:
    """frames: uint8 (H, W, 3) each -> (1, 3, h, w), -1 to 1: the largest part in the middle that
    has the small frames' aspect, made smaller as training makes them, by the means of areas."""
    for frame in frames:
        small = fitted(frame, (config.low_height, config.low_width))
        yield 2 * to_pixels(small.copy())[None] - 1


def bordered(frames: Iterator[Tensor]) -> Iterator[Tensor]:
    """A clip's frames after CONTEXT times the first, and then the last, without end."""
    last = next(frames)
    yield last.expand(CONTEXT + 1, *last.shape[1:])
    for frame in frames:
        yield (last := frame)
    while True:
        yield last
