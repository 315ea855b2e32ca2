"""What CogView2 and CogVideo take in: captions, as a rate's phrase and words, padded on the left,
and codes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...text.vocabulary import Vocabulary
from .rows import Rows


def encode_texts(
    config: Rows, vocabulary: Vocabulary, texts: Sequence[tuple[str, str | None]]
) -> tuple[Tensor, Tensor]:
    """(frame-rate symbol, caption or None) each -> rows (B, S) and seen (B, S), int64.

    None is the caption of classifier-free guidance, the single word <video>. Words beyond the
    text's length are cut off.
    """
    length = config.text_length
    rows = torch.full((len(texts), length), config.symbol("<pad>"))
    seen = torch.zeros(len(texts), length, dtype=torch.long)
    for number, (rate, caption) in enumerate(texts):
        if caption is None:
            words = [config.symbol("<video>")]
        else:
            words = [config.word(index) for index in vocabulary.encode(caption)]
        tokens = [config.symbol(rate), config.symbol("<n>"), *words][:length]
        rows[number, length - len(tokens) :] = torch.tensor(tokens)
        seen[number, length - len(tokens) :] = 1
    return rows, seen


def shift(config: Rows, codes: Tensor) -> Tensor:
    """(..., N) codes -> the input tokens: opened by <start_of_image>, the last code left out."""
    opening = codes.new_full((*codes.shape[:-1], 1), config.symbol("<start_of_image>"))
    return torch.cat([opening, codes[..., :-1]], dim=-1)
