"""Captions through a published language model (BERT-large in 2204.03458), each remembered."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import MissingCapability

REMEMBERED = 2048  # captions


@dataclass(frozen=True)
class Pretrained:
    """A published language model as a `Reader`. name: a model's at transformers, or a folder's;
    length: tokens of a caption, the rest is cut off. It reads every word."""

    name: str
    length: int
    words: tuple[str, ...] = ()

    def encode(self, text: str) -> tuple[Tensor, Tensor]:
        """Hidden states of the last layer (length, width), zero beyond the caption, and which
        tokens are there, (length,).

        MissingCapability where the package or the weights are not here.
        """
        return _one(self.name, text, self.length)

    def unknown(self, text: str) -> list[str]:
        return []

    def nearest(self, word: str) -> list[str]:
        return []


@lru_cache(maxsize=REMEMBERED)
def _one(name: str, caption: str, length: int) -> tuple[Tensor, Tensor]:
    tokenizer, model = _load(name)
    tokens = tokenizer(caption, truncation=True, max_length=length, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state[0]
    padded = torch.zeros(length, states.shape[-1])
    padded[: len(states)] = states
    return padded, (torch.arange(length) < len(states)).long()


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Any, Any]:
    try:
        from transformers import (  # pyright: ignore[reportMissingImports]
            AutoModel,
            AutoTokenizer,
        )
    except ImportError as error:
        raise MissingCapability(
            f"captions are read by {name}, which takes the package transformers",
            hint='pip install "dln[text]"',
        ) from error
    try:
        return AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise MissingCapability(
            f"the language model {name} is not here and cannot be fetched",
            hint="go online once, or give the folder that holds it with --set encoder=DIR",
        ) from error
