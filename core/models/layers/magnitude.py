"""Inputs of a layer divided by the root of their mean square, as a slow average has it.

StyleGAN3 (2106.12423, appendix C.1). The averages are part of a network's state. They follow what
is computed inside `heeding` alone, which is the discriminator's turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Magnitude(nn.Module):
    """The average of one input's squares; 1 at the beginning."""

    magnitude_ema: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("magnitude_ema", torch.ones(()))
        self.seen: list[Tensor] | None = None  # where somebody heeds: a sum and a count a call

    def gain(self, x: Tensor) -> Tensor:
        """x: (B, ...), the input -> what it is to be multiplied by, a scalar."""
        if self.seen is not None:
            square, count = x.detach().float().square().mean(), float(len(x))
            self.seen.append(torch.stack([count * square, square.new_tensor(count)]))
        return self.magnitude_ema.rsqrt()


class Magnitudes:
    """All averages of a network in training: average <- 0.999 average + 0.001 of the step's."""

    def __init__(self, network: nn.Module, keep: float = 0.999) -> None:
        self.all = [module for module in network.modules() if isinstance(module, Magnitude)]
        self.keep = keep
        self.sums: Tensor | None = None

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """What the network computes inside is taken in."""
        for each in self.all:
            each.seen = []
        try:
            yield
            own = torch.stack([torch.stack(each.seen or []).sum(0) for each in self.all])
            self.sums = own if self.sums is None else self.sums + own
        finally:
            for each in self.all:
                each.seen = None

    def after_step(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """The same on every process; reduce(x) sums over them. Nothing was heeded: no change."""
        if self.sums is None:
            return
        total, self.sums = reduce(self.sums), None
        for each, (square, count) in zip(self.all, total, strict=True):
            mean = (square / count).to(each.magnitude_ema)
            each.magnitude_ema.copy_(torch.lerp(mean, each.magnitude_ema, self.keep))
