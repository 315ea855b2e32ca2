"""Which part of a country a picture shows, and how finely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .noise import Floats


@dataclass(frozen=True)
class View:
    """height, width: pixels. left: of the first column from the country's middle, in pixels, so
    that neighbouring views share columns to the bit. A picture is 1 high: all lengths are in its
    heights. start: of the country's middle along its noise. horizon: above the lower edge."""

    height: int
    width: int
    left: float
    start: float = 0.0
    horizon: float = 0.4

    @cached_property
    def u(self) -> NDArray[np.float64]:
        """Of each column (W,), from the country's middle to the right."""
        return (self.left + 0.5 + np.arange(self.width)) / self.height

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Of each column (W,), along the country."""
        return self.start + self.u

    @cached_property
    def v(self) -> Floats:
        """Of each row (H,), from the lower edge up: 1 to 0."""
        return (1 - (np.arange(self.height) + 0.5) / self.height).astype(np.float32)

    def row(self, v: float) -> int:
        """The first row whose middle lies below v, within the picture."""
        return int(np.clip(np.ceil((1 - v) * self.height - 0.5), 0, self.height))


def middle_view(size: tuple[int, int], start: float = 0.0, horizon: float = 0.4) -> View:
    """size: (height, width) around the country's middle."""
    return View(size[0], size[1], -size[1] / 2, start, horizon)
