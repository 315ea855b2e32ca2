"""Captions as NUWA-Infinity reads them: what is drawn, which way, then the words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary
from .config import SYMBOLS, Config


def encode_captions(
    config: Config,
    reader: Vocabulary | Pretrained | None,
    captions: Sequence[str | None],
    ways: Sequence[str],
    clip: bool,
) -> tuple[Tensor, Tensor]:
    """Captions -> text, rows of the table (B, S) or hidden states (B, S, hidden), and seen (B, S).

    None is nothing said, as for guidance. ways: each one's, of `WAYS`; clip: frames are drawn, else
    one picture; a published encoder is told neither. Words beyond the length are cut off. reader:
    None for a model that reads nothing, S is 0 then.
    """
    if isinstance(reader, Pretrained):
        read = [reader.encode(caption or "") for caption in captions]
        states, seen = (torch.stack(each) for each in zip(*read, strict=True))
        return states, seen
    shape = (len(captions), config.text_length)
    rows, seen = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    if reader is None or not config.text_length:
        return rows, seen
    kind = len(reader) + SYMBOLS.index("<clip>" if clip else "<picture>")
    for number, (caption, way) in enumerate(zip(captions, ways, strict=True)):
        told = [kind, len(reader) + SYMBOLS.index(f"<{way}>")]
        words = (told + reader.encode(caption or ""))[: config.text_length]
        rows[number, : len(words)] = torch.tensor(words)
        seen[number, : len(words)] = 1
    return rows, seen
