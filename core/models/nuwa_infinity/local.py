"""The codes around the one that is drawn next, as far as they are there: the eight beside it, and
the one in its place of the frame before.

Not the paper's. Told of them, a transformer that learns for minutes need not first learn to find
them among all codes of its patch and of the patches around: seams are what it would leave.
"""

from __future__ import annotations

import numpy as np
import torch

from .config import Config
from .directions import Order, join

BESIDE = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column)
DIRECTIONS = len(BESIDE) + 1  # the last is the frame before


def turns(order: Order, patch: int) -> np.ndarray:
    """(F, H, W): when each code of a grid of patches is drawn, counted from 0."""
    numbers = torch.arange(len(order) * patch**2).view(1, len(order), patch**2)
    return join(numbers, patch, [order])[0].numpy()


def around(codes: np.ndarray, when: np.ndarray, config: Config) -> np.ndarray:
    """codes, when: (F, H, W) -> (DIRECTIONS, F, H, W): the code in each direction where it was
    drawn earlier, the number of all codes where it was not."""
    frames, height, width = codes.shape
    border, unknown = ((1, 0), (1, 1), (1, 1)), config.codes
    drawn = np.pad(codes, border, constant_values=unknown)
    times = np.pad(when, border, constant_values=when.size)

    def towards(frame: int, row: int, column: int) -> np.ndarray:
        place = (slice(1 + frame, 1 + frame + frames), slice(1 + row, 1 + row + height),
                 slice(1 + column, 1 + column + width))  # fmt: skip
        return np.where(times[place] < when, drawn[place], unknown)

    before = towards(-1, 0, 0) if config.extent_frames else np.full_like(codes, unknown)
    return np.stack([*(towards(0, row, column) for row, column in BESIDE), before])


class Surroundings:
    """The same while codes are drawn, frame after frame."""

    def __init__(self, config: Config, rows: int, columns: int) -> None:
        """rows, columns: of patches."""
        self.config = config
        self.now = self._blank(rows * config.patch, columns * config.patch)
        self.before = self.now.copy()

    def _blank(self, rows: int, columns: int) -> np.ndarray:
        return np.full((rows + 2, columns + 2), self.config.codes)

    def next_frame(self) -> None:
        """All of this frame is drawn."""
        if self.config.extent_frames:
            self.before = self.now
        self.now = self._blank(self.now.shape[0] - 2, self.now.shape[1] - 2)

    def at(self, row: int, column: int) -> list[int]:
        """Around a code of the frame: DIRECTIONS of them."""
        beside = [int(self.now[1 + row + r, 1 + column + c]) for r, c in BESIDE]
        return [*beside, int(self.before[1 + row, 1 + column])]

    def add(self, row: int, column: int, code: int) -> None:
        """A code was drawn."""
        self.now[1 + row, 1 + column] = code
