"""A sequence through the backbone, block after block, with the keys and values of what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..layers.cache import Cache

if TYPE_CHECKING:
    from ..engine import Engine

ITSELF = torch.zeros(1, 1)  # what a single new token sees of itself


class Rollout:
    """What is known of B sequences: first their text, then what `read` adds."""

    def __init__(self, engine: Engine, text: dict[str, Tensor], room: int) -> None:
        """text: what the graph "text" gives; room: tokens that will be added."""
        self.engine, self.padding = engine, text["padding"].cpu()
        self.cache = Cache(text["image_k"], text["image_v"])
        self.cache.reserve(room)

    def read(self, graph: str, tokens: Tensor, places: Tensor, own: Tensor = ITSELF) -> Tensor:
        """tokens: (B, Q), places: (Q,), own: (Q, Q), what they see of each other, besides all that
        is known -> what the graph says of each, (B, Q, ...). From now on they are known."""
        out = self.engine.run(
            graph,
            tokens=tokens,
            places=places,
            bias=self._bias(tokens.shape[1]),
            own=own,
            k=self.cache.k,
            v=self.cache.v,
        )
        self.cache.add(out["k"], out["v"])
        return out["logits"]

    def _bias(self, new: int) -> Tensor:
        """(B, Q, room): padding and places not filled yet are hidden."""
        batch, texts = self.padding.shape
        empty = torch.arange(texts, self.cache.room) >= self.cache.used
        bias = torch.zeros(empty.shape).masked_fill(empty, float("-inf")).expand(batch, -1)
        return torch.cat([self.padding, bias], dim=-1)[:, None].expand(-1, new, -1).contiguous()


def causal(new: int) -> Tensor:
    """(Q, Q): a token sees itself and those before it."""
    return torch.full((new, new), float("-inf")).triu(1)
