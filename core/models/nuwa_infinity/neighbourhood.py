"""What the codes of a patch look at while they are drawn: patches of the pool, and themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..layers.attention import Pair
from ..layers.cache import Cache
from .config import Config
from .directions import centre
from .pool import Pool
from .transformer import HIDDEN


class Neighbourhood:
    """Keys and values around patch `number` of a pool, with room for its own.

    Kept of a patch are the keys and values of its codes, (L, B, H, M, D) each.
    """

    def __init__(self, config: Config, pool: Pool[Pair], number: int, batch: int = 1) -> None:
        self.tokens = config.tokens
        held = [pool.held[chosen] for chosen in pool.select(number)]
        self.cache = Cache(*(_joined(config, batch, [p[side] for p in held]) for side in (0, 1)))
        self.cache.reserve(self.tokens + 1)
        offsets = torch.tensor(pool.offsets(number), dtype=torch.long)
        own = torch.full((self.tokens + 1,), centre(config.extents))
        self.near = torch.cat([offsets.repeat_interleave(self.tokens), own])

    def seen(self, new: int) -> dict[str, Sequence[Tensor] | Tensor]:
        """Inputs of the step's graph for the next `new` codes: near (K,), bias (new, K), own (new,
        new), and k, v, L times (B, H, K, D)."""
        bias = torch.full((new, self.cache.room), HIDDEN)
        bias[:, : self.cache.used] = 0.0
        own = torch.full((new, new), HIDDEN).triu(1)
        return {"near": self.near, "bias": bias, "own": own, "k": self.cache.k, "v": self.cache.v}

    def add(self, k: Tensor, v: Tensor) -> None:
        """The keys and values (L, B, H, Q, D) of codes that were drawn, the start token first."""
        self.cache.add(k, v)

    def finished(self) -> Pair:
        """What is to be kept of the patch, once all its codes are there: the start token is not."""
        k, v = (
            torch.stack([layer[:, :, -self.tokens :] for layer in side])
            for side in (self.cache.k, self.cache.v)
        )
        return k, v


def _joined(config: Config, batch: int, parts: list[Tensor]) -> Tensor:
    """Keys or values of patches one after the other, (L, B, H, P M, D)."""
    empty = torch.empty(config.layers, batch, config.heads, 0, config.width // config.heads)
    return torch.cat([empty.to(parts[0]) if parts else empty, *parts], dim=3)
