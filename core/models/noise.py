"""The random numbers of a request, which may lie on the way from one noise to the next.

Pictures of one prompt are alike where their noise is. Two independent normals a and b give
cos(t) a + sin(t) b, which is as normal as they are, and as like to a as t is small; uniform numbers
go the same way by the quantiles of the normal distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .request import Request

EDGE = 1e-16  # a probability at which the normal distribution still has a quantile


class Noise(Protocol):
    """What sampling loops draw from; numpy's generators are such."""

    def random(self, size: Any = None, dtype: Any = np.float64) -> Any:
        """Uniform numbers from 0 to below 1."""
        ...

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Any: ...


def noise_of(request: Request) -> Noise:
    """The numbers of the request's seed, gone as far as its drift: 1 is a noise of which nothing is
    like the first, and so is every whole number after it."""
    passed, share = divmod(request.drift, 1)
    begin = _of(request.seed, int(passed))
    if not share:
        return begin
    return Mixed(begin, _of(request.seed, int(passed) + 1), share * math.pi / 2)


def _of(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, number] if number else seed)


@dataclass(frozen=True)
class Mixed:
    """Two noises; angle: in radians, 0 is the first, a right angle the second."""

    one: np.random.Generator
    other: np.random.Generator
    angle: float

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Any:
        one, other = (each.standard_normal(size, dtype) for each in (self.one, self.other))
        return self._between(one, other)

    def random(self, size: Any = None, dtype: Any = np.float64) -> Any:
        import torch

        one, other = (_quantiles(each.random(size)) for each in (self.one, self.other))
        found = torch.special.ndtr(torch.as_tensor(self._between(one, other))).numpy()
        below = np.minimum(found.astype(dtype), np.nextafter(dtype(1), dtype(0)))
        return float(below) if size is None else below

    def _between(self, one: Any, other: Any) -> Any:
        return math.cos(self.angle) * one + math.sin(self.angle) * other


def _quantiles(uniform: Any) -> np.ndarray:
    """Of the normal distribution."""
    import torch

    inside = np.clip(np.asarray(uniform), EDGE, 1 - EDGE)
    return torch.special.ndtri(torch.as_tensor(inside)).numpy()
