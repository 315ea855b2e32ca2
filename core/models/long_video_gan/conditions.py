"""Small frames on the grids of the layers that make large ones of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..layers.alias_free import FILTER, Signal
from ..layers.kaiser import Banded, low_pass, resampling
from .config import CONTEXT, Config

WINDOW = 2 * CONTEXT + 1  # small frames that a large one hangs on
CONDITIONS = 3 * WINDOW


class Conditions(nn.Module):
    """Small frames, with those around each, on the grid of one signal."""

    def __init__(self, config: Config, signal: Signal) -> None:
        super().__init__()
        sides = config.low_height, config.low_width
        along = (
            Banded(matrix(side, max(sides), config.margin, signal.rate, out), number)
            for number, side, out in zip((-2, -1), sides, signal.size, strict=True)
        )
        self.resampled = nn.Sequential(*along)

    def forward(self, low: Tensor) -> Tensor:
        """low: (B, T + 2 CONTEXT, 3, h, w) -> (B T, CONDITIONS, H, W): one colour after the other,
        of each the frames in their order."""
        low = self.resampled(low)
        frames = low.shape[1] - 2 * CONTEXT
        shifted = [low[:, first : first + frames] for first in range(WINDOW)]
        return torch.stack(shifted, 3).flatten(2, 3).flatten(0, 1)


def matrix(side: int, rate: int, margin: int, to: int, out: int) -> np.ndarray:
    """float64 (out, side), along one side of small frames, whose longer side is `rate`: what is
    beyond them is as their borders; all is made a square with the margin, resampled to the rate
    `to`, and of that the middle is taken. Where there is not enough of it, its borders go on."""
    up, down = max(1, to // rate), max(1, rate // to)
    square = rate + 2 * margin
    more = down if down > 1 else 0  # so much further than the square frames go on, then zeros
    found = middle(square + 2 * more, side)
    if up * down > 1:
        taps = up * passing(up * down)
        reach = (len(taps) - up * down) // 2
        before, after = (reach - more, reach - more) if down > 1 else (reach + up - 1, reach)
        size = dict(before=before, after=after)
        found = resampling(len(found), taps, up=up, down=down, **size) @ found
    return middle(out, len(found)) @ found


def passing(times: int) -> np.ndarray:
    """The filter by which the rate grows or falls so many times, adding up to 1."""
    return low_pass(FILTER * times, 1.0, 6.0, 4.0 * times)


def middle(out: int, size: int) -> np.ndarray:
    """float64 (out, size): the middle of what there is; where that is too little, with more of its
    first and of its last on either side."""
    first = (size - out) // 2 if size >= out else -((out - size) // 2)
    return np.eye(size)[np.arange(first, first + out).clip(0, size - 1)]
