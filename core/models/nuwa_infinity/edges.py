"""Around a given picture: its codes do not say all that it shows, so that what is drawn next to it
would differ from it by that much. The difference goes on outwards, ever less; the picture's own
pixels stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .directions import Box

SMOOTHED = 9  # pixels along a border that a difference is the mean of: of hues, not of grain

Differences = NDArray[np.float32]


@dataclass(frozen=True)
class Edges:
    """place: of the picture, in pixels; rows: what its top and its bottom have beyond their codes,
    (2, width, 3); columns: its left and its right, (2, height, 3); far: pixels in which that
    fades."""

    place: Box
    rows: Differences
    columns: Differences
    far: int

    def carry_on(self, pixels: np.ndarray, top: int, left: int) -> None:
        """Change uint8 (H, W, 3) that begin at row `top` and column `left` where they lie around
        the picture."""
        place, far = self.place, self.far
        y = np.arange(max(top, place.top - far), min(top + len(pixels), place.bottom + far))
        x = np.arange(max(left, place.left - far), min(left + pixels.shape[1], place.right + far))
        if not len(y) or not len(x):
            return
        down, across = beyond(y, place.top, place.bottom), beyond(x, place.left, place.right)
        inside_x = np.clip(x - place.left, 0, place.right - place.left - 1)
        inside_y = np.clip(y - place.top, 0, place.bottom - place.top - 1)
        row = self.rows[(y >= place.bottom).astype(int)[:, None], inside_x]
        column = self.columns[(x >= place.right).astype(int), inside_y[:, None]]
        dy, dx = down[:, None, None].astype(np.float32), across[None, :, None].astype(np.float32)
        both = np.maximum(dy + dx, 1)
        strength = np.clip(1 - np.maximum(dy, dx) / (far + 1), 0, 1) * (dy + dx > 0)
        added = strength * (dy * row + dx * column) / both
        part = pixels[y[0] - top : y[-1] + 1 - top, x[0] - left : x[-1] + 1 - left]
        part[:] = np.clip(np.round(part + added), 0, 255).astype(np.uint8)


def edges(picture: np.ndarray, place: Box, decoded: list[np.ndarray], far: int) -> Edges:
    """picture: uint8 (H, W, 3); decoded: of its top, bottom, left and right line of pixels what its
    codes say, (length, 3) each."""
    own = picture[0], picture[-1], picture[:, 0], picture[:, -1]
    top, bottom, left, right = (
        smoothed(line.astype(np.float32) - said) for line, said in zip(own, decoded, strict=True)
    )
    return Edges(place, np.stack([top, bottom]), np.stack([left, right]), far)


def beyond(at: np.ndarray, first: int, end: int) -> np.ndarray:
    """How far each place is outside of those from `first` to `end`."""
    return np.maximum(np.maximum(first - at, at - end + 1), 0)


def smoothed(line: np.ndarray) -> Differences:
    """(N, 3) -> the mean of SMOOTHED neighbours of each, beyond the ends the last one."""
    half = SMOOTHED // 2
    sums = np.pad(line, ((half + 1, half), (0, 0)), mode="edge").cumsum(axis=0, dtype=np.float64)
    return ((sums[SMOOTHED:] - sums[:-SMOOTHED]) / SMOOTHED).astype(np.float32)
