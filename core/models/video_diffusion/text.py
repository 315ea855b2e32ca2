"""Captions to one vector: words, then attention pooling (2204.03458, appendix A)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...text.vocabulary import Vocabulary

SYMBOLS = ("<later>",)  # after the words in the table: the clip does not open its story


def encode_words(
    vocabulary: Vocabulary,
    captions: Sequence[str | None],
    length: int,
    later: Sequence[bool] | None = None,
) -> tuple[Tensor, Tensor]:
    """Captions -> rows of the word table (B, S) and seen (B, S), int64.

    None is the caption of classifier-free guidance: nothing is seen. later: which clips go on
    with what has begun. Words beyond the length are cut off.
    """
    rows = torch.zeros(len(captions), length, dtype=torch.long)
    seen = torch.zeros(len(captions), length, dtype=torch.long)
    for number, caption in enumerate(captions):
        words = [] if caption is None else vocabulary.encode(caption)
        if caption is not None and later is not None and later[number]:
            words = [len(vocabulary), *words]
        words = words[:length]
        rows[number, : len(words)] = torch.tensor(words, dtype=torch.long)
        seen[number, : len(words)] = 1
    return rows, seen


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
