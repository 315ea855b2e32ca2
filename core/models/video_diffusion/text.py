"""Captions to one vector: words, then attention pooling (2204.03458, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from .config import Config

SYMBOLS = ("<later>",)  # after the words in the table: the clip does not open its story


def encode_captions(
    config: Config,
    reader: Vocabulary | Pretrained,
    captions: Sequence[str | None],
    later: Sequence[bool],
) -> dict[str, Tensor]:
    """Captions -> words, rows of the table (B, S) or hidden states (B, S, H), and seen (B, S).

    None is the caption of classifier-free guidance: nothing is seen. later: which clips go on
    with what has begun. Words beyond the length are cut off.
    """
    if isinstance(reader, Pretrained):
        return _pretrained(reader, captions, later)
    rows = np.zeros((len(captions), config.text_length), dtype=np.int64)
    seen = np.zeros_like(rows)
    for number, (caption, on) in enumerate(zip(captions, later, strict=True)):
        if caption is None:
            continue
        words = [len(reader)] * on + reader.encode(caption)
        words = words[: config.text_length]
        rows[number, : len(words)] = words
        seen[number, : len(words)] = 1
    return {"words": torch.from_numpy(rows), "seen": torch.from_numpy(seen)}


def _pretrained(
    reader: Pretrained, captions: Sequence[str | None], later: Sequence[bool]
) -> dict[str, Tensor]:
    told = ["later, " * on + (text or "") for text, on in zip(captions, later, strict=True)]
    parts = [reader.encode(text) for text in told]
    states, seen = (torch.stack(each) for each in zip(*parts, strict=True))
    return {"words": states, "seen": seen * torch.tensor([[text is not None] for text in captions])}


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
