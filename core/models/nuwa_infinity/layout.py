"""Where on a grid of patches lies what is shown, and what of it is given.

A size that is no multiple of a patch is made larger and cropped at the right and at the bottom. A
given picture has a corner of a patch at its top left, so that its codes are those of its pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .config import Config
from .directions import DOWN, RIGHT, Box, Order, outward, straight


@dataclass(frozen=True)
class Layout:
    """rows, columns: of patches; shown: pixels of the grid; known: codes that are given, picture:
    pixels of what they are of, both None where nothing is."""

    rows: int
    columns: int
    shown: Box
    known: Box | None = None
    picture: Box | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is shown."""
        return self.shown.bottom - self.shown.top, self.shown.right - self.shown.left

    def order(self, config: Config, frames: int) -> Order:
        """Along the shorter side first, so that the pool holds a few of its lines; outwards from
        given patches, those that are given in part after those that are given whole."""
        if self.known is None:
            way = RIGHT if self.columns >= self.rows else DOWN
            return straight(way, frames, self.rows, self.columns)
        known, patch = self.known, config.patch
        top, left = known.top // patch, known.left // patch
        rows = max(1, (known.bottom - known.top) // patch)
        columns = max(1, (known.right - known.left) // patch)
        return outward(frames, self.rows, self.columns, Box(top, left, top + rows, left + columns))


def blank(config: Config, size: tuple[int, int]) -> Layout:
    """A picture of size (height, width) of which nothing is given."""
    rows, columns = (_up(pixels, config.side) for pixels in size)
    return Layout(rows, columns, Box(0, 0, *size))


def around(config: Config, picture: tuple[int, int], extend: Mapping[str, int]) -> Layout:
    """Around a picture of size (height, width). Where a side does not grow, all codes of the last
    patches are given, although the picture ends within them."""
    (height, width), side = picture, config.side
    up, left, down, right = (extend.get(name, 0) for name in ("up", "left", "down", "right"))
    above, before = _up(up, side), _up(left, side)
    top, start = above * side, before * side
    rows = above + _up(height + down, side)
    columns = before + _up(width + right, side)
    last = above * config.patch + _known(config, height, down)
    end = before * config.patch + _known(config, width, right)
    return Layout(
        rows,
        columns,
        Box(top - up, start - left, top + height + down, start + width + right),
        Box(above * config.patch, before * config.patch, last, end),
        Box(top, start, top + height, start + width),
    )


def _known(config: Config, pixels: int, more: int) -> int:
    """Codes along a side of a picture: those of its last pixels too, seen with its mirror."""
    if more:
        return _up(pixels, config.vqgan.cell)
    return _up(pixels, config.side) * config.patch


def _up(pixels: int, unit: int) -> int:
    return -(-pixels // unit)
