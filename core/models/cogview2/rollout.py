"""A sequence through the backbone, block after block, with the keys and values of what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array, on_host, run
from ..layers.cache import Cache

if TYPE_CHECKING:
    from ..engine import Engine

HIDDEN = np.float32("-inf")
ITSELF = np.zeros((1, 1), np.float32)  # what a single new token sees of itself


class Rollout:
    """What is known of B sequences: first their text, then what `read` adds."""

    def __init__(self, engine: Engine, text: dict[str, Array], room: int) -> None:
        """text: what the graph "text" gives; room: tokens that will be added."""
        self.engine, self.padding = engine, on_host(text["padding"])
        self.cache = Cache(text["image_k"], text["image_v"])
        self.cache.reserve(room)

    def read(
        self, graph: str, tokens: np.ndarray, places: np.ndarray, own: np.ndarray = ITSELF
    ) -> Array:
        """tokens: (B, Q), places: (Q,), own: (Q, Q), what they see of each other, besides all that
        is known -> what the graph says of each, (B, Q, ...). From now on they are known."""
        out = run(
            self.engine,
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

    def _bias(self, new: int) -> np.ndarray:
        """(B, Q, room): padding and places not filled yet are hidden."""
        batch, texts = self.padding.shape
        bias = np.zeros((batch, new, self.cache.room), np.float32)
        bias[..., :texts] = self.padding[:, None]
        bias[..., self.cache.used :] = HIDDEN
        return bias


def causal(new: int) -> np.ndarray:
    """(Q, Q): a token sees itself and those before it."""
    return np.where(np.tri(new, dtype=bool), np.float32(0), HIDDEN)
