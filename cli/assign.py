"""KEY=VALUE words of --set."""

from collections.abc import Sequence
from typing import Any

from dln.core.errors import UsageError


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """["width=96", "text.layers=2"] -> {"width": 96, "text": {"layers": 2}}; values as in TOML."""
    found: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key.strip() and sign):
            raise UsageError(f"--set takes KEY=VALUE, not {word!r}.", "--set width=96")
        store(found, key.strip(), toml_value(value.strip()))
    return found


def store(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put the value under "group.name", making the groups."""
    *groups, name = key.split(".")
    for group in groups:
        tree = tree.setdefault(group, {})
        if not isinstance(tree, dict):
            raise UsageError(f"--set makes {group!r} both a value and a group.")
    tree[name] = value


def toml_value(text: str) -> Any:
    """96, 1e-3, true and [1, 2] are what TOML says they are; anything else is text."""
    import tomllib

    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 else text
