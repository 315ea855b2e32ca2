"""Values as rows and cells that people read."""

from collections.abc import Iterator, Mapping
from typing import Any

from .shown import on_one_line

LARGE, HUGE = 9999.5, 1e15  # between them a number is shown whole


def rows_of(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as rows "group key", value; lists on one line."""
    for key, value in facts.items():
        label = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from rows_of(value, f"{label} ")
        elif isinstance(value, list | tuple):
            yield on_one_line(label), on_one_line(", ".join(map(number, value)))
        else:
            yield on_one_line(label), on_one_line(number(value))


def number(value: object) -> str:
    """A cell's text: floats with four figures, or all before the point; whole numbers in groups of
    three, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and LARGE <= abs(value) < HUGE:
        return f"{value:,.0f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
