"""Captions through a published language model, each remembered: BERT-large in 2204.03458, the text
encoder of CLIP in 2207.09814.

Weights name the model that read their captions, and weights come from anybody: nothing is fetched
for them. It is looked for where transformers keeps what it has fetched, or in a folder.
"""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import MissingCapability, UsageError
from ..installed import install_line

REMEMBERED = 2048  # captions
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")  # of a published model
_FETCH = "from transformers import AutoModel as M, AutoTokenizer as T"


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
    if not (_NAME.fullmatch(name) or os.path.isdir(name)):
        raise UsageError(f"{name[:80]!r} is neither the name of a language model nor a folder")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import (  # pyright: ignore[reportMissingImports]
            AutoModel,
            AutoTokenizer,
        )
    except ImportError as error:
        raise MissingCapability(
            f"captions are read by {name}, which takes the package transformers",
            hint=install_line("text"),
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
        model = AutoModel.from_pretrained(name, local_files_only=True, use_safetensors=True)
    except Exception as error:  # whatever transformers makes of somebody's files
        raise MissingCapability(
            f"the language model {name} is not here, as safetensors", hint=_how_to_get(name)
        ) from error
    # CLIP's has an encoder of pictures beside that of texts.
    return tokenizer, getattr(model, "text_model", model).eval()


def _how_to_get(name: str) -> str:
    """The line that fetches a published model, once."""
    elsewhere = "--set encoder=DIR trains with the one in a folder"
    if not _NAME.fullmatch(name):
        return elsewhere
    code = f"{_FETCH}; T.from_pretrained('{name}'); M.from_pretrained('{name}')"
    return f'python -c "{code}" fetches it; {elsewhere}'
