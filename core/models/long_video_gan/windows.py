"""Which frames of which rate a window of a video hangs on: the bookkeeping of padding frames.

2206.03429, appendix: the first layers work at a 32nd of the frame rate, each next one at twice the
rate of the one before, and at every rate a window has PADDING frames more on either side, of which
what lies beyond them is out of reach. So the same frames come out of every window whose first frame
is a multiple of SCALE. Of the frames of a rate only those are computed that the window hangs on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..layers.kaiser import low_pass, resampling

PADDING = 8  # frames on either side, at every rate
DOUBLINGS = 5  # of the frame rate
SCALE = 1 << DOUBLINGS
RATES = tuple(SCALE >> level for level in range(DOUBLINGS + 1))  # frames of a video in one
KERNEL = 3  # frames of a temporal convolution, of which a block has two
TAPS, CUTOFF, TRANSITION, SAMPLING = 12, 1.0, 6.0, 8.0  # of the filter before halving


@dataclass(frozen=True)
class Span:
    """Frames `first` to `last`, without the last, of those that a rate has in a window."""

    first: int
    last: int

    def wider(self, by: int) -> Span:
        return Span(self.first - by, self.last + by)

    @property
    def count(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class Level:
    """What a block with two temporal convolutions makes at one rate. given: of its input; made: of
    its output; doubled: of the latter at twice the rate, counted from the first one that two of
    those made give, and None where the rate stays."""

    given: Span
    made: Span
    doubled: Span | None


def coded(frames: int) -> int:
    """Frames of codes that a window of so many frames takes, with the padding around it."""
    return SCALE * length(frames, SCALE)


def uncoded(codes: int) -> int:
    """Frames of the longest window that takes so many codes."""
    return codes - 2 * PADDING * SCALE


def length(frames: int, rate: int) -> int:
    """Frames that a window of `frames` has at one in `rate`, with padding."""
    return math.ceil(frames / rate) + 2 * PADDING


@lru_cache(maxsize=16)
def levels(frames: int) -> tuple[Level, ...]:
    """Of a window of so many frames, a block a rate, the lowest first."""
    reach = KERNEL - 1
    made = Span(PADDING, PADDING + frames)
    found = [Level(made.wider(reach), made, None)]
    for rate in RATES[-2::-1]:
        asked = found[0].given
        # The middle of twice the frames of this rate are those of the next.
        cut = (2 * length(frames, rate) - length(frames, rate // 2)) // 2
        first, last = asked.first + cut, asked.last + cut
        # Number 2k + 1 lies between k and k + 1, nearer to the former, 2k + 2 to the latter.
        made = Span((first - 1) // 2, last // 2 + 1)
        begin = first - (2 * made.first + 1)
        found.insert(0, Level(made.wider(reach), made, Span(begin, begin + asked.count)))
    return tuple(found)


@lru_cache(maxsize=16)
def pyramid(frames: int) -> tuple[np.ndarray, ...]:
    """Matrices (given frames, codes) that filter styles down to the rates of `levels`: halved again
    and again, and of that the middle."""
    half = low_pass(TAPS, CUTOFF, TRANSITION, SAMPLING)
    around = TAPS // 2 - 1
    size = coded(frames)
    matrix, found = np.eye(size), []
    for rate, level in zip(RATES[::-1], levels(frames)[::-1], strict=True):
        if rate > 1:
            matrix = resampling(len(matrix), half, down=2, before=around, after=around) @ matrix
        cut = (len(matrix) - length(frames, rate)) // 2
        found.insert(0, matrix[cut + level.given.first : cut + level.given.last])
    return tuple(found)
