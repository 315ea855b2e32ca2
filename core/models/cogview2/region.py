"""A region of a given picture that is filled anew: which square the model sees, which codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from ...media.picture import resized

FORM = "--set mask=LEFT,TOP,RIGHT,BOTTOM"


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def parsed(mask: str) -> Box:
    """UsageError for what is no rectangle."""
    words = mask.split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"a mask is four numbers, not {mask[:80]!r}", FORM)
    box = Box(*(int(word) for word in words))
    if box.left >= box.right or box.top >= box.bottom:
        raise UsageError(f"the mask {mask[:80]} holds no pixel", FORM)
    return box


@dataclass(frozen=True)
class Region:
    """picture: uint8 (H, W, 3); box: what of it is filled."""

    picture: np.ndarray
    box: Box

    def __post_init__(self) -> None:
        height, width = self.picture.shape[:2]
        if self.box.right > width or self.box.bottom > height:
            raise UsageError(
                f"the mask reaches beyond the picture of {width} x {height} pixels", FORM
            )
        if max(self.box.right - self.box.left, self.box.bottom - self.box.top) > min(height, width):
            raise UsageError(
                "a region lies in a square within the picture, and this is too long", FORM
            )

    @property
    def square(self) -> Box:
        """What the model sees: the largest square of the picture that holds the region, with the
        region as near to its middle as can be."""
        height, width = self.picture.shape[:2]
        side = min(height, width)
        left = _start(self.box.left, self.box.right, side, width)
        top = _start(self.box.top, self.box.bottom, side, height)
        return Box(left, top, left + side, top + side)

    def seen(self, size: int) -> np.ndarray:
        """The square as uint8 (size, size, 3)."""
        return np.array(resized(self.picture[self.square.area], (size, size)))

    def masked(self, grid: int) -> np.ndarray:
        """bool (N,): of grid x grid codes those with a pixel of the region."""
        square = self.square
        side = square.right - square.left
        edges = np.arange(grid + 1) * side / grid

        def touched(first: int, last: int) -> np.ndarray:
            return (edges[:-1] < last) & (edges[1:] > first)

        rows = touched(self.box.top - square.top, self.box.bottom - square.top)
        columns = touched(self.box.left - square.left, self.box.right - square.left)
        return (rows[:, None] & columns[None]).ravel()

    def filled(self, made: np.ndarray) -> np.ndarray:
        """The picture with the region out of `made`, uint8 (size, size, 3), what the square became;
        all else as it was."""
        square, box = self.square, self.box
        side = square.right - square.left
        inner = Box(
            box.left - square.left, box.top - square.top,
            box.right - square.left, box.bottom - square.top,
        )  # fmt: skip
        whole = self.picture.copy()
        whole[box.area] = resized(made, (side, side))[inner.area]
        return whole


def _start(first: int, last: int, side: int, length: int) -> int:
    middle = (first + last - side) // 2
    return min(max(0, middle), length - side)
