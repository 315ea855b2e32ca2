"""What a model's sampler can be told: a dataclass in its folder, each field with range and help.

Nothing here imports torch: what a model lacks is refused before anything heavy is loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, closest
from .fields import Checked, in_words, limited


def setting(
    default: Any,
    help: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a `Settings` dataclass. least, above, most: what a number may be; choices: what a
    word may be. A default of None leaves the choice to the weights' own configuration."""
    return limited(default, least=least, above=above, most=most, choices=choices, help=help)


@dataclass(frozen=True)
class Settings(Checked):
    """The settings of a sampler; this one has none. UsageError for a value of another kind or
    outside its range."""


def limits(field: dataclasses.Field[Any]) -> str:
    """The range of a setting in words: "at least 0 and at most 1", "one of ddim, ancestral"."""
    return in_words(field.metadata)


def chosen(model: str, kind: type[Settings], asked: Mapping[str, Any]) -> Settings:
    """The settings of `model` with those that are asked for. UsageError for a name that it does
    not have, or a value that it does not take."""
    names = [field.name for field in dataclasses.fields(kind)]
    for name in asked:
        if name not in names:
            hint = f"{model} has {', '.join(names)}" if names else f"{model} has no settings"
            raise UsageError(f"{model} has no {name}.{closest(name, names)}", hint)
    return kind(**asked)
