"""Several clips side by side in one, as their frames come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .stream import Stream

MOST = 144  # clips; each holds a block of its frames


def mosaic(streams: Sequence[Stream]) -> Stream:
    """Streams of one size, rate and length as one, row after row in a square as full as can be;
    places that are left over are black. ValueError for streams that differ, or none."""
    if len({(each.size, each.fps, each.frames) for each in streams}) != 1:
        raise ValueError("a mosaic is of clips of one size, rate and length")
    first, columns = streams[0], math.ceil(math.sqrt(len(streams)))
    rows = math.ceil(len(streams) / columns)
    height, width = first.size

    def tiled() -> Iterator[np.ndarray]:
        for frames in zip(*map(one_by_one, streams), strict=True):
            whole = np.zeros((1, rows, height, columns, width, 3), np.uint8)
            for number, frame in enumerate(frames):
                row, column = divmod(number, columns)
                whole[0, row, :, column] = frame
            yield whole.reshape(1, rows * height, columns * width, 3)

    return Stream(tiled(), first.fps, (rows * height, columns * width), first.frames)


def one_by_one(stream: Stream) -> Iterator[np.ndarray]:
    """The frames of a stream, (H, W, 3) each."""
    for block in stream:
        yield from block
