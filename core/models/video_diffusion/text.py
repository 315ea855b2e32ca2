"""Captions to one vector: words, then attention pooling (2204.03458, appendix A)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .captions import SYMBOLS


class Pooling(nn.Module):
    """Attention pooling: learned queries, one a head, over the words of a caption."""

    def __init__(self, inputs: int, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.scores = nn.Linear(inputs, heads)
        self.values = nn.Linear(inputs, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """x: (B, S, inputs), seen: (B, S) -> (B, width); zero where nothing is seen."""
        some = seen.to(x.dtype)[..., None]
        weights = (self.scores(x) + (some - 1) * 1e4).softmax(1) * some
        values = self.values(x).unflatten(-1, (self.heads, -1))
        return (weights[..., None] * values).sum(1).flatten(1)


class WordEncoder(nn.Module):
    """The words of the closed vocabulary, learned with the rest."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words + len(SYMBOLS), width)
        self.pooling = Pooling(width, width)

    def forward(self, words: Tensor, seen: Tensor) -> Tensor:
        """words, seen: (B, S) -> (B, width), zero for the empty caption."""
        return self.pooling(F.embedding(words, self.table.weight), seen)


class StatesEncoder(nn.Module):
    """The hidden states of a pretrained language model."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.pooling = Pooling(hidden, width)

    def forward(self, words: Tensor, seen: Tensor) -> Tensor:
        """words: (B, S, hidden), seen: (B, S) -> (B, width), zero for the empty caption."""
        return self.pooling(words, seen)
