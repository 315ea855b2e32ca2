"""Low-pass filters of Kaiser's window, and the matrices by which they resample.

A matrix has a row for each number of the output, so that resampling along one side is a product
with a constant: it is fast on a CPU and the same on every engine. Filters are symmetric.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

ROWS = 128  # of a matrix that are multiplied at once


def low_pass(taps: int, cutoff: float, width: float, rate: float) -> np.ndarray:
    """float64 (taps,), adding up to 1: a sinc that passes what is slower than `cutoff`, under the
    window whose transition is `width` wide (Kaiser 1974); all in units of the sampling `rate`."""
    places = np.arange(taps) - (taps - 1) / 2
    window = np.kaiser(taps, kaiser_beta(taps, width, rate))
    filtered = np.sinc(2 * cutoff / rate * places) * window
    return filtered / filtered.sum()


def kaiser_beta(taps: int, width: float, rate: float) -> float:
    """Of the window whose transition is `width` wide, in units of the sampling `rate`."""
    attenuation = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def resampling(
    size: int, taps: np.ndarray, *, up: int = 1, down: int = 1, before: int = 0, after: int = 0
) -> np.ndarray:
    """float64 (out, size): zeros between the numbers so that there are `up` times as many, `before`
    and `after` zeros around them (below 0: as many fewer), the filter, each `down`-th result."""
    count = (up * size + before + after - len(taps)) // down + 1
    tap = before + up * np.arange(size)[None] - down * np.arange(count)[:, None]
    inside = (tap >= 0) & (tap < len(taps))
    return np.where(inside, taps[tap.clip(0, len(taps) - 1)], 0.0)


def spanned(matrix: np.ndarray) -> slice:
    """The columns of a matrix from the first that is not all zeros to the last."""
    used = np.flatnonzero(matrix.any(0))
    return slice(int(used[0]), int(used[-1]) + 1)


def constant(matrix: np.ndarray) -> Tensor:
    """float64 of any shape -> float32."""
    return torch.from_numpy(np.ascontiguousarray(matrix, np.float32))


class Banded(nn.Module):
    """A product with a constant matrix along one side of pictures. Numbers that lie far apart do
    not mix: of a large matrix most is zero, and it is taken in parts without their zeros."""

    def __init__(self, matrix: np.ndarray, side: int) -> None:
        """matrix: (out, size); side: -2 for rows of pictures, -1 for columns."""
        super().__init__()
        self.side, self.spans = side, []
        for number, rows in enumerate(np.array_split(matrix, -(-len(matrix) // ROWS))):
            used = spanned(rows)
            part = rows[:, used]
            self.spans.append((used.start, used.stop - used.start))
            turned = part if side == -2 else part.T
            self.register_buffer(f"part{number}", constant(turned), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., H, W) -> with as many rows, or columns, as the matrix has."""
        found = []
        for number, (first, count) in enumerate(self.spans):
            part = self.get_buffer(f"part{number}").to(x.dtype)
            piece = x.narrow(self.side, first, count)
            found.append(part @ piece if self.side == -2 else piece @ part)
        return torch.cat(found, self.side) if len(found) > 1 else found[0]
