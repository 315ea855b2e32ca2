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

    def __init__(self, config: Config, pool: Pool[Pair], number: int, like: Tensor) -> None:
        """like: (B, ...) of the type and on the device that the engine computes with."""
        self.tokens = config.tokens
        held = [pool.held[chosen] for chosen in pool.select(number)]
        shape = config.layers, len(like), config.heads, 0, config.width // config.heads
        empty = like.new_empty(shape)
        k, v = (torch.cat([empty, *(pair[side] for pair in held)], dim=3) for side in (0, 1))
        self.cache = Cache(k, v)
        self.cache.reserve(self.tokens + 1)
        offsets = torch.tensor(pool.offsets(number), dtype=torch.long)
        own = torch.full((self.tokens + 1,), centre(config.extents))
        self.near = torch.cat([offsets.repeat_interleave(self.tokens), own]).to(like.device)

    def seen(self, new: int) -> dict[str, Sequence[Tensor] | Tensor]:
        """Inputs of the step's graph for the next `new` codes: near (K,), bias (new, K), own (new,
        new), and k, v, L times (B, H, K, D)."""
        bias = self.cache.k[0].new_full((new, self.cache.room), HIDDEN)
        bias[:, : self.cache.used] = 0.0
        own = bias.new_full((new, new), HIDDEN).triu(1)
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
