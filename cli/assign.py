"""KEY=VALUE words of --set."""

from collections.abc import Sequence
from typing import Any

from dln.core.door import toml_value
from dln.core.errors import UsageError

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
