"""An exponential moving average of the trainable parameters: the weights that are kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """average <- d average + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t))."""

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.parameters = parameters
        self.averages = {name: p.detach().clone() for name, p in parameters.items()}

    def decay_at(self, step: int) -> float:
        """d after `step` earlier updates."""
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Fold the weights in; `step` counts the earlier updates."""
        weight = 1 - self.decay_at(step)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            list(self.averages.values()), [p.detach() for p in self.parameters.values()], weight
        )

    @torch.no_grad()
    def load(self, averages: dict[str, Tensor]) -> None:
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @torch.no_grad()
    def copy_to_weights(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(self.averages[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            kept = parameter.clone()
            parameter.copy_(self.averages[name])
            self.averages[name].copy_(kept)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The weights are the averages inside the context."""
        self._swap()
        try:
            yield
        finally:
            self._swap()
