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

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.kaiser import constant, low_pass

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


class Pyramid(nn.Module):
    """Styles at each rate of a window: halved again and again, and of that the middle. (Each is the
    sum of a few, so that windows agree to the last digits.)"""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = constant(low_pass(TAPS, CUTOFF, TRANSITION, SAMPLING))
        self.register_buffer("filter", taps[None, None], persistent=False)

    def forward(self, w: Tensor, frames: int) -> list[Tensor]:
        """w: (B, W, coded(frames)) -> for each of `levels` (B, frames given, W)."""
        found = []
        for rate, level in zip(RATES[::-1], levels(frames)[::-1], strict=True):
            w = w if rate == 1 else self.halved(w)
            cut = (w.shape[2] - length(frames, rate)) // 2
            given = w[..., cut + level.given.first : cut + level.given.last]
            found.append(given.transpose(1, 2))
        return found[::-1]

    def halved(self, w: Tensor) -> Tensor:
        """w: (B, W, T) -> (B, W, T / 2), with zeros around."""
        flat = w.flatten(0, 1)[:, None]
        half = F.conv1d(flat, self.filter.to(w.dtype), stride=2, padding=TAPS // 2 - 1)
        return half[:, 0].unflatten(0, w.shape[:2])
