"""Fields of dataclasses that users and files fill: of their kind, in their range, or a sentence.

Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from reprlib import repr as short
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import UsageError

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
MOST = 1 << 20  # of a whole number without a limit of its own, and of a word's letters
MOST_ITEMS = 1 << 16  # of a list, as of the names of classes


def limited(
    default: Any, *, least: float | None = None, above: float | None = None,
    most: float | None = None, below: float | None = None, choices: tuple[str, ...] = (),
    items: int = MOST_ITEMS, **told: Any,
) -> Any:  # fmt: skip
    """A field with limits: least, above, most and below of a number, or of each number of a list;
    choices: what a word may be; items: the longest list. told: further metadata."""
    limits = {"least": least, "above": above, "most": most, "below": below}
    metadata = {**limits, "choices": choices, "items": items, **told}
    return dataclasses.field(default=default, metadata=metadata)


def unsaid(kind: Any) -> dict[str, Any]:
    """What a file means that does not name a field of a dataclass, for fields that came later and
    whose default (`unsaid` in their metadata) is not what was done before."""
    told = {field.name: field.metadata for field in dataclasses.fields(kind)}
    return {name: rule["unsaid"] for name, rule in told.items() if "unsaid" in rule}


def size(default: Any, most: float = 1 << 16, least: float = 1, items: int = 64) -> Any:
    """A field for a size of a network, or a list of them, one a level: from `least` to `most`."""
    return limited(default, least=least, most=most, items=items)


@dataclass(frozen=True)
class Checked:
    """A dataclass whose fields are checked as they are set. UsageError for a value of another kind
    or outside its range."""

    def __post_init__(self) -> None:
        check(self)


def check(told: Any) -> None:
    """UsageError for a field of a dataclass whose value is of another kind or outside its range."""
    hints = get_type_hints(type(told))
    for field in dataclasses.fields(told):
        value = getattr(told, field.name)
        if value is not None or NoneType not in get_args(hints[field.name]):
            _check(field.name, plain(hints[field.name]), value, field.metadata)


def plain(hint: Any) -> Any:
    """The kind of a field, without the None that it may be."""
    kinds = [each for each in get_args(hint) if each is not NoneType]
    return kinds[0] if kinds and NoneType in get_args(hint) else hint


def _check(name: str, kind: Any, value: Any, rule: Mapping[str, Any]) -> None:
    if get_origin(kind) is tuple:
        _check_list(name, get_args(kind), value, rule)
    elif dataclasses.is_dataclass(kind):
        if not isinstance(value, kind):  # pyright: ignore
            raise UsageError(f"{name} is a group of fields, not {short(value)}")
    else:
        _check_one(name, kind, value, rule)


def _check_list(name: str, kinds: tuple[Any, ...], value: Any, rule: Mapping[str, Any]) -> None:
    if not isinstance(value, tuple):
        raise UsageError(f"{name} is a list, not {short(value)}")
    most = rule.get("items", MOST_ITEMS)
    if kinds[-1] is Ellipsis:
        if len(value) > most:
            raise UsageError(f"{name} has at most {most:,} entries, not {len(value):,}")
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise UsageError(f"{name} has {len(kinds)} entries, not {len(value):,}")
    for kind, item in zip(kinds, value, strict=True):
        _check(f"an entry of {name}", kind, item, rule)


def _check_one(name: str, kind: Any, value: Any, rule: Mapping[str, Any]) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{name} is a finite number, not {value!r}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number if kind is float else isinstance(value, kind) and (number or kind is not int)):
        raise UsageError(f"{name} is {KINDS[kind]}, not {short(value)}")
    if not _within(rule, value):
        raise UsageError(f"{name} is {in_words(rule)}, not {short(value)}")
    if (abs(value) if number else len(value) if isinstance(value, str) else 0) > ceiling(rule):
        raise UsageError(f"{name} is at most {MOST:,}, not {short(value)}")


def ceiling(rule: Mapping[str, Any]) -> float:
    """The largest magnitude of what has no upper limit of its own."""
    own = rule.get("most") is not None or rule.get("below") is not None
    return float("inf") if own else MOST


def _within(rule: Mapping[str, Any], value: Any) -> bool:
    least, above, most, below = map(rule.get, ("least", "above", "most", "below"))
    return (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
        and (not rule.get("choices") or value in rule["choices"])
    )


def in_words(rule: Mapping[str, Any]) -> str:
    """Limits as a person reads them: "at least 0 and at most 1", "one of ddim, ancestral"."""
    words = [
        f"{name} {figure(rule[key])}"
        for key, name in (("least", "at least"), ("above", "above"), ("most", "at most"),
                          ("below", "below"))
        if rule.get(key) is not None
    ]  # fmt: skip
    return f"one of {', '.join(rule['choices'])}" if rule.get("choices") else " and ".join(words)


def figure(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
