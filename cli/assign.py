"""KEY=VALUE words: of --set, and of the options that take one number for all or one for each."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dln.core.door import toml_value
from dln.core.errors import UsageError

N = TypeVar("N", int, float)
MOST_GROUPS = 8  # within each other


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """["width=96", "text.layers=2"] -> {"width": 96, "text": {"layers": 2}}; values as in TOML."""
    found: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key.strip() and sign):
            raise UsageError(f"--set takes KEY=VALUE, not {word!r}.", "--set width=96")
        store(found, key.strip(), value_of(value.strip()))
    return found


def store(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put the value under "group.name", making the groups."""
    *groups, name = key.split(".")
    if len(groups) > MOST_GROUPS:
        raise UsageError(f"--set goes {len(groups)} groups deep; no setting lies there.")
    for group in groups:
        tree = tree.setdefault(group, {})
        if not isinstance(tree, dict):
            raise UsageError(f"--set makes {group!r} both a value and a group.")
    tree[name] = value


def value_of(text: str) -> Any:
    """96, 1e-3, true and [1, 2] are what TOML says they are; anything else is text."""
    try:
        read = toml_value(f"value = {text}")
    except ValueError:
        return text
    return read["value"] if len(read) == 1 else text


def parse_steps(words: Sequence[str]) -> dict[str, int] | int | None:
    """["100"] -> 100; ["tokenizer=100", "keyframes=50"] -> a dict; [] -> None."""
    return parse_each(words, "--steps", "stage", natural)


def parse_rates(words: Sequence[str]) -> dict[str, float] | float | None:
    """["1e-3"] -> 0.001; ["generator=2e-3", "discriminator=1e-3"] -> a dict; [] -> None."""
    return parse_each(words, "--lr", "player", float)


def parse_each(
    words: Sequence[str], flag: str, kind: str, number: Callable[[str], N]
) -> dict[str, N] | N | None:
    """One number for all, or NAME=NUMBER for some. number: raises ValueError for what is none."""
    if not words:
        return None
    pairs = [word.rpartition("=")[::2] for word in words]
    try:
        values = {name: number(text) for name, text in pairs}
    except ValueError as error:
        raise UsageError(f"{flag} takes N or {kind.upper()}=N, not {' '.join(words)!r}.") from error
    if "" in values and len(words) > 1:
        raise UsageError(
            f"{flag} N goes for every {kind}: give it once, or give {kind.upper()}=N for each."
        )
    return values.get("", values)


def natural(text: str) -> int:
    """Digits alone. ValueError for anything else."""
    if not text.isdigit():
        raise ValueError(text)
    return int(text)
