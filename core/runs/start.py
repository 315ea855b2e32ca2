"""Training that begins from weights there are, rather than at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import UsageError
from .build import made, override

if TYPE_CHECKING:
    from ..data import Source
    from ..models.package import Loaded
    from ..models.system import System, SystemModel


def open_start(name: str, model: str) -> Loaded:
    """The weights called `name`. UsageError where they are of another model."""
    from ..models.package import load_model

    loaded = load_model(name)
    if loaded.about.name != model:
        raise UsageError(
            f"{name} holds {loaded.about.name}, not {model}",
            hint=f"dln train {loaded.about.name} --start-from {name}",
        )
    return loaded


def extended(
    system: System, start: SystemModel, overrides: Mapping[str, Any], source: Source
) -> SystemModel:
    """A model that begins as `start` and knows the words of `source` too: those that the weights
    know, in their order, come first. UsageError where the overrides change its size, or the data
    have other classes."""
    config = override(start.config, overrides)
    for name, wanted in system.fitted(config, source).items():
        if name not in system.free and getattr(config, name) != wanted:
            raise UsageError(
                f"the weights to start from have other {name} than {source.name}",
                "train without --start-from",
            )
    known = start.reader.words if start.reader else []
    model = made(system, config, [*known, *source.words()])
    begin_from(model, start, system)
    return model


def begin_from(model: SystemModel, start: SystemModel, system: System) -> None:
    """Copy what `model` takes over of `start`; rows of new words, which end a table, stay as they
    are.

    UsageError where their configurations differ in more than the fields that the system frees.
    """
    ours, theirs = (asdict(m.config) for m in (model, start))
    differing = [n for n in ours if n not in system.free and ours[n] != theirs.get(n)]
    if differing:
        raise UsageError(
            f"the weights to start from have another {', '.join(differing)}",
            hint="leave out --preset and --set: the weights' own configuration is taken",
        )
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in system.inherited(model, start).items():
            rows(own[name], tensor).copy_(tensor)


def rows(table: Tensor, like: Tensor) -> Tensor:
    """The part of `table` that `like` fills: all of it, or its first rows."""
    return table[: len(like)] if table.ndim else table
