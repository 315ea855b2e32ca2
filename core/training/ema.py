"""An exponential moving average of a player's parameters: the weights that are kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import UsageError


class Ramp(Protocol):
    """How slowly an average follows."""

    def decay_at(self, step: int) -> float:
        """d of average <- d average + (1 - d) weights, after `step` earlier updates."""
        ...


@dataclass(frozen=True)
class Average:
    """d = min(decay, (1 + step) / (10 + step)): the first weights are soon forgotten."""

    decay: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise UsageError(f"decay is at least 0 and below 1, not {self.decay}")

    def decay_at(self, step: int) -> float:
        return min(self.decay, (1 + step) / (10 + step))


class Ema:
    """The average of `parameters` (by name), and of buffers among them, as `ramp` says. Other
    buffers are as they are, whichever of the two weights are in place."""

    def __init__(self, parameters: Mapping[str, Tensor], ramp: Ramp) -> None:
        self.ramp, self.parameters = ramp, parameters
        self.averages = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Fold the weights in; `step` counts the earlier updates."""
        weight = 1 - self.ramp.decay_at(step)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            list(self.averages.values()), [p.detach() for p in self.parameters.values()], weight
        )

    @torch.no_grad()
    def load(self, averages: dict[str, Tensor]) -> None:
        """Take back those of `averages` that are its own. KeyError where one is missing."""
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @torch.no_grad()
    def copy_to_weights(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(self.averages[name])

    @torch.no_grad()
    def swap(self) -> None:
        """The averages become the weights, and the weights the averages."""
        for name, parameter in self.parameters.items():
            kept = parameter.clone()
            parameter.copy_(self.averages[name])
            self.averages[name].copy_(kept)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The weights are the averages inside the context."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
