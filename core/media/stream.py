"""Frames as they are made: a clip too long to hold is written while it comes, and so is a picture
too large to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .clip import Clip


class Stream:
    """Blocks of frames, uint8 (n, height, width, 3) each, to be taken once, in order.

    fps: frames a second; size: (height, width) in pixels; frames: how many will come in all.
    banded: the one frame comes as rows from the top down, (1, n, width, 3) each.
    """

    def __init__(
        self,
        blocks: Iterable[np.ndarray],
        fps: float,
        size: tuple[int, int],
        frames: int,
        banded: bool = False,
    ) -> None:
        self.fps, self.size, self.frames, self.banded = fps, size, frames, banded
        self._blocks = iter(blocks)

    @classmethod
    def of(cls, clip: Clip) -> Stream:
        """A whole clip as one block."""
        height, width = clip.frames.shape[1:3]
        return cls([clip.frames], clip.fps, (height, width), len(clip.frames))

    def __iter__(self) -> Iterator[np.ndarray]:
        """The blocks, a banded picture in one. ValueError for one that is of another size or
        type."""
        found = [np.concatenate(list(self._blocks), axis=1)] if self.banded else self._blocks
        for block in found:
            if block.dtype != np.uint8 or block.shape[1:] != (*self.size, 3) or not len(block):
                raise ValueError(f"a block is {block.dtype} {block.shape}, not of {self.size}")
            yield block

    def bands(self) -> Iterator[np.ndarray]:
        """The rows of a banded picture, uint8 (n, width, 3) each, as they come."""
        return (rows for block in self._blocks for rows in block)

    def through(self, way: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]) -> Stream:
        """The same stream, whose blocks, or bands, go through `way`."""
        blocks = way(self._blocks if self.banded else iter(self))
        return Stream(blocks, self.fps, self.size, self.frames, self.banded)

    def heard(self, hear: Callable[[np.ndarray], None]) -> Stream:
        """The same stream, each block of which `hear` is given as it passes."""

        def passing() -> Iterator[np.ndarray]:
            for block in self:
                hear(block)
                yield block

        return Stream(passing(), self.fps, self.size, self.frames)

    def clip(self) -> Clip:
        """All of it in memory."""
        return Clip(np.concatenate(list(self)), self.fps)
