"""Captions as Video Diffusion reads them: rows of its table of words, or hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...text.vocabulary import Vocabulary
from ..arrays import Array

if TYPE_CHECKING:
    from ...text.pretrained import Pretrained
    from .config import Config

SYMBOLS = ("<later>",)  # after the words in the table: the clip does not open its story


def encode_captions(
    config: Config,
    reader: Vocabulary | Pretrained,
    captions: Sequence[str | None],
    later: Sequence[bool],
) -> dict[str, Array]:
    """Captions -> words, rows of the table (B, S) or hidden states (B, S, H), and seen (B, S).

    None is the caption of classifier-free guidance: nothing is seen. later: which clips go on
    with what has begun. Words beyond the length are cut off.
    """
    if not isinstance(reader, Vocabulary):
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
    return {"words": rows, "seen": seen}


def _pretrained(
    reader: Pretrained, captions: Sequence[str | None], later: Sequence[bool]
) -> dict[str, Array]:
    import torch

    told = ["later, " * on + (text or "") for text, on in zip(captions, later, strict=True)]
    parts = [reader.encode(text) for text in told]
    states, seen = (torch.stack(each) for each in zip(*parts, strict=True))
    return {"words": states, "seen": seen * torch.tensor([[text is not None] for text in captions])}
