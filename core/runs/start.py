"""Training that begins from weights there are, rather than at random."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ..models.package import Loaded


def open_start(name: str, model: str) -> Loaded:
    """The weights called `name`. UsageError where they are of another model."""
    from ..models.package import load_model

    loaded = load_model(name)
    if loaded.spec.name != model:
        raise UsageError(
            f"{name} holds {loaded.spec.name}, not {model}",
            hint=f"dln train {loaded.spec.name} --start-from {name}",
        )
    return loaded


def joined_vocabulary(start: Any, words: list[str]) -> Vocabulary:
    """The words that the weights know, in their order, then the new ones."""
    return Vocabulary([*start.vocabulary.words, *words])


def begin_from(model: nn.Module, start: nn.Module) -> None:
    """Copy `start` into `model`; rows of new words, which end a table, stay as they are.

    UsageError where the two are of different sizes.
    """
    ours, theirs = (asdict(m.config) for m in (model, start))  # pyright: ignore
    differing = [name for name in ours if ours[name] != theirs.get(name)]
    if differing:
        raise UsageError(
            f"the weights to start from have another {', '.join(differing)}",
            hint="leave out --preset and --set: the weights' own configuration is taken",
        )
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in start.state_dict().items():
            rows(own[name], tensor).copy_(tensor)


def rows(table: Tensor, like: Tensor) -> Tensor:
    """The part of `table` that `like` fills: all of it, or its first rows."""
    return table[: len(like)] if table.ndim else table
