"""What CogView2 and CogVideo take in: captions, as a rate's phrase and words, padded on the left,
and codes."""

from collections.abc import Sequence

import numpy as np

from ...text.vocabulary import Vocabulary
from ..arrays import Array
from .rows import Rows


def encode_texts(
    config: Rows, vocabulary: Vocabulary, texts: Sequence[tuple[str, str | None]]
) -> tuple[np.ndarray, np.ndarray]:
    """(frame-rate symbol, caption or None) each -> rows (B, S) and seen (B, S), int64.

    None is the caption of classifier-free guidance, the single word <video>. Words beyond the
    text's length are cut off.
    """
    length = config.text_length
    rows = np.full((len(texts), length), config.symbol("<pad>"), np.int64)
    seen = np.zeros_like(rows)
    for number, (rate, caption) in enumerate(texts):
        if caption is None:
            words = [config.symbol("<video>")]
        else:
            words = [config.word(index) for index in vocabulary.encode(caption)]
        tokens = [config.symbol(rate), config.symbol("<n>"), *words][:length]
        rows[number, length - len(tokens) :] = tokens
        seen[number, length - len(tokens) :] = 1
    return rows, seen


def shift(config: Rows, codes: Array) -> Array:
    """(..., N) codes -> the input tokens: opened by <start_of_image>, the last code left out."""
    tokens = codes + 0  # a copy, numpy's or torch's
    tokens[..., 1:] = codes[..., :-1]
    tokens[..., 0] = config.symbol("<start_of_image>")
    return tokens
