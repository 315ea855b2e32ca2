"""What a model's sampler can be told: a dataclass in its folder, each field with range and help.

Nothing here imports torch: what a model lacks is refused before anything heavy is loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..errors import UsageError, closest

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


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
    limits = {"least": least, "above": above, "most": most, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class Settings:
    """The settings of a sampler; this one has none. UsageError for a value of another kind or
    outside its range."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check(field, hints[field.name], getattr(self, field.name))


def _check(field: dataclasses.Field[Any], hint: Any, value: Any) -> None:
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return
    kind = next(each for each in kinds if each is not NoneType)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{field.name} is a finite number, not {value!r}")
    if not (number if kind is float else isinstance(value, kind) and (number or kind is not int)):
        raise UsageError(f"{field.name} is {KINDS[kind]}, not {value!r}")
    if not _within(field.metadata, value):
        raise UsageError(f"{field.name} is {limits(field)}, not {value!r}")


def _within(rule: Mapping[str, Any], value: Any) -> bool:
    least, above, most = rule["least"], rule["above"], rule["most"]
    return (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (not rule["choices"] or value in rule["choices"])
    )


def limits(field: dataclasses.Field[Any]) -> str:
    """The range of a setting in words: "at least 0 and at most 1", "one of ddim, ancestral"."""
    rule = field.metadata
    words = [
        f"{name} {rule[key]:g}"
        for key, name in (("least", "at least"), ("above", "above"), ("most", "at most"))
        if rule[key] is not None
    ]
    return f"one of {', '.join(rule['choices'])}" if rule["choices"] else " and ".join(words)


def chosen(model: str, kind: type[Settings], asked: Mapping[str, Any]) -> Settings:
    """The settings of `model` with those that are asked for. UsageError for a name that it does
    not have, or a value that it does not take."""
    names = [field.name for field in dataclasses.fields(kind)]
    for name in asked:
        if name not in names:
            hint = f"{model} has {', '.join(names)}" if names else f"{model} has no settings"
            raise UsageError(f"{model} has no {name}.{closest(name, names)}", hint)
    return kind(**asked)
