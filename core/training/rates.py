"""How a player's learning rate changes over its stage."""

import math
from dataclasses import dataclass
from typing import Protocol

from ..errors import UsageError


class Rate(Protocol):
    """A schedule of the learning rate."""

    def factor(self, step: int, steps: int) -> float:
        """The learning rate's share at `step` (0 .. steps - 1) of a stage of `steps`."""
        ...


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up of `warmup` steps, at most a tenth of the stage's, then a cosine that ends at
    the share `floor`."""

    warmup: int = 100
    floor: float = 0.05

    def __post_init__(self) -> None:
        _check(self.warmup)
        if not 0 <= self.floor <= 1:
            raise UsageError(f"floor is a share from 0 to 1, not {self.floor}")

    def factor(self, step: int, steps: int) -> float:
        rise = min(self.warmup, steps // 10)
        if step < rise:
            return (step + 1) / rise
        done = (step - rise) / max(1, steps - 1 - rise)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Constant:
    """The learning rate itself, after a linear warm-up of at most a tenth of the stage's steps."""

    warmup: int = 0

    def __post_init__(self) -> None:
        _check(self.warmup)

    def factor(self, step: int, steps: int) -> float:
        rise = min(self.warmup, steps // 10)
        return (step + 1) / rise if step < rise else 1.0


@dataclass(frozen=True)
class Linear:
    """A linear warm-up over the share `warmup` of the stage's steps, then a line that ends at the
    share `floor` of the learning rate."""

    warmup: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("warmup", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")

    def factor(self, step: int, steps: int) -> float:
        rise = int(self.warmup * steps)
        if step < rise:
            return (step + 1) / rise
        return 1 - (1 - self.floor) * (step - rise) / max(1, steps - rise)


def _check(warmup: int) -> None:
    if warmup < 0:
        raise UsageError(f"warmup is at least 0 steps, not {warmup}")
