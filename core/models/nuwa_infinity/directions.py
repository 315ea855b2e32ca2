"""The arbitrary direction controller: in which order patches come, and how far apart they are.

Section 3.1 of 2207.09814. A place is a frame, a row and a column of patches. The frames come one
after the other; within each the patches follow one path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .config import WAYS

Place = tuple[int, int, int]
Cell = tuple[int, int]  # a row and a column
Extents = tuple[int, int, int]  # frames, rows, columns


def _back(count: int) -> range:
    return range(count - 1, -1, -1)


# The paper's omega, omega*, zeta and zeta*: which way first, and which way then.
_Path = Callable[[int, int], Iterator[Cell]]
_PATHS: tuple[_Path, ...] = (
    lambda rows, columns: ((r, c) for c in range(columns) for r in range(rows)),
    lambda rows, columns: ((r, c) for c in _back(columns) for r in range(rows)),
    lambda rows, columns: ((r, c) for r in range(rows) for c in range(columns)),
    lambda rows, columns: ((r, c) for r in _back(rows) for c in range(columns)),
)
PATHS: dict[str, _Path] = dict(zip(WAYS, _PATHS, strict=True))
RIGHT, LEFT, DOWN, UP = WAYS  # in which a picture grows


@dataclass(frozen=True)
class Box:
    """From a row and a column up to others, which it leaves out: of patches, codes or pixels."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Order:
    """The patches of a picture (frames = 1) or a clip, one after the other."""

    frames: int
    rows: int
    columns: int
    path: tuple[Cell, ...]  # through each frame
    ways: tuple[str, ...]  # in which its patches are come to

    def __len__(self) -> int:
        return self.frames * len(self.path)

    def place(self, number: int) -> Place:
        """Where patch `number` is, counted from 0."""
        frame, within = divmod(number, len(self.path))
        return (frame, *self.path[within])

    def way(self, number: int) -> str:
        """Which of the four orders patch `number` follows."""
        return self.ways[number % len(self.path)]

    def number(self, place: Place) -> int:
        """The inverse of `place`."""
        frame, row, column = place
        return frame * len(self.path) + self._numbers[row, column]

    def last_user(self, number: int, extents: Extents) -> int:
        """The last patch that may select patch `number`: itself where no later one may."""
        place, sizes = self.place(number), (self.frames, self.rows, self.columns)
        frame, *within = (
            range(max(0, at - reach), min(size, at + reach + 1))
            for at, reach, size in zip(place, extents, sizes, strict=True)
        )
        # Later frames come later: only the last within reach counts.
        return max(self.number((frame[-1], r, c)) for r in within[0] for c in within[1])

    @cached_property
    def raster(self) -> Tensor:
        """(N,) where each patch is if all are counted row after row, frame after frame."""
        within = torch.tensor([row * self.columns + column for row, column in self.path])
        frames = torch.arange(self.frames)[:, None] * len(self.path)
        return (frames + within).flatten()

    @cached_property
    def _numbers(self) -> dict[Cell, int]:
        return {cell: number for number, cell in enumerate(self.path)}


def straight(name: str, frames: int, rows: int, columns: int) -> Order:
    """One of the four orders in `PATHS`."""
    path = tuple(PATHS[name](rows, columns))
    return Order(frames, rows, columns, path, (name,) * len(path))


def outward(frames: int, rows: int, columns: int, given: Box) -> Order:
    """From patches that are given outwards: these come first; then a column to the right, one to
    the left, a row below and one above, again and again, each in the one of the four orders that
    goes its way. ValueError where nothing is given or it is not inside."""
    top, left, bottom, right = given.top, given.left, given.bottom, given.right
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise ValueError(f"{given} is not within {rows} x {columns} patches")
    parts = [(RIGHT, [(r, c) for c in range(left, right) for r in range(top, bottom)])]
    while (bottom - top, right - left) != (rows, columns):
        if right < columns:
            parts.append((RIGHT, [(r, right) for r in range(top, bottom)]))
            right += 1
        if left > 0:
            left -= 1
            parts.append((LEFT, [(r, left) for r in range(top, bottom)]))
        if bottom < rows:
            parts.append((DOWN, [(bottom, c) for c in range(left, right)]))
            bottom += 1
        if top > 0:
            top -= 1
            parts.append((UP, [(top, c) for c in range(left, right)]))
    path = tuple(cell for _, cells in parts for cell in cells)
    ways = tuple(way for way, cells in parts for _ in cells)
    return Order(frames, rows, columns, path, ways)


def offset(here: Place, there: Place, extents: Extents) -> int:
    """Which row of a table of offsets stands for a patch `there` seen from `here`. It is in no
    later frame, and within the extents."""
    frames, rows, columns = (b - a + e for a, b, e in zip(here, there, extents, strict=True))
    return (frames * (2 * extents[1] + 1) + rows) * (2 * extents[2] + 1) + columns


def centre(extents: Extents) -> int:
    """The row of such a table for a patch seen from itself."""
    return offset((0, 0, 0), (0, 0, 0), extents)


def split(codes: Tensor, patch: int, orders: Sequence[Order]) -> Tensor:
    """codes: (B, F, H, W), whose sides are multiples of `patch`; each sample's own order of one
    grid -> (B, N, M) codes of the patches, row after row in each."""
    cut = codes.unflatten(3, (-1, patch)).unflatten(2, (-1, patch)).transpose(3, 4)
    raster = torch.stack([order.raster for order in orders]).to(codes.device)
    return cut.flatten(4).flatten(1, 3).gather(1, raster[..., None].expand(-1, -1, patch**2))


def join(patches: Tensor, patch: int, orders: Sequence[Order]) -> Tensor:
    """The inverse of `split`: (B, N, M) -> (B, F, H, W)."""
    first = orders[0]
    raster = torch.stack([order.raster for order in orders]).to(patches.device)
    flat = torch.empty_like(patches).scatter_(1, raster[..., None].expand_as(patches), patches)
    grid = flat.view(-1, first.frames, first.rows, first.columns, patch, patch)
    return grid.transpose(3, 4).flatten(4, 5).flatten(2, 3)
