"""What took how long: medians, their intervals, and ratios taken round by round."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from torch import nn

LEAST_ROUNDS = 6  # fewer tell no interval of 95 %


@dataclass(frozen=True)
class Contender:
    """What is timed. group: what it is held against; what: its sizes, in words; unit: what a call
    makes `count` of; own: whether it is one of dln's; parameters: of the networks that run; onnx:
    whether PyTorch's threads are to stand aside."""

    group: str
    name: str
    what: str
    unit: str
    count: int
    call: Callable[[], object]
    parameters: int
    own: bool = False
    onnx: bool = False


@dataclass(frozen=True)
class Row:
    """A contender's milliseconds a unit, and as a ratio to the first of its group: above 1 it is
    slower. Each is a median with the ends of its 95 % interval."""

    group: str
    name: str
    what: str
    unit: str
    own: bool
    parameters: int
    ms: float
    ms_low: float
    ms_high: float
    a_second: float
    ratio: float
    ratio_low: float
    ratio_high: float


@dataclass(frozen=True)
class Absent:
    """What is not here, why, and the line that installs it."""

    group: str
    name: str
    reason: str
    hint: str | None


def row(contender: Contender, seconds: Sequence[float], base: Sequence[float]) -> Row:
    """seconds, base: of a unit in each round, of this one and of the first of its group."""
    ms = [1000 * each for each in seconds]
    ratios = [each / first for each, first in zip(seconds, base, strict=True)]
    ends, apart = median_interval(ms), median_interval(ratios)
    c = contender
    return Row(c.group, c.name, c.what, c.unit, c.own, c.parameters, median(ms), *ends,
               1000 / median(ms), median(ratios), *apart)  # fmt: skip


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The order statistics between which the median of whatever the values are drawn from lies
    with at least 95 % (signs as of a fair coin); ValueError for fewer than LEAST_ROUNDS."""
    count, beyond, rank = len(values), 0.0, 0
    if count < LEAST_ROUNDS:
        raise ValueError(f"{count} values tell no interval")
    while (beyond := beyond + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    ordered = sorted(values)
    return ordered[rank - 1], ordered[count - rank]


def numbers(*modules: nn.Module) -> int:
    """Parameters of networks, those that they share once."""
    found: Mapping[int, int] = {id(p): p.numel() for m in modules for p in m.parameters()}
    return sum(found.values())
