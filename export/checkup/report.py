"""An examination to read: its rows, and what they hold for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dln.core.text.shown import in_markdown

from .outcome import FAILED, MISSING, OK, Outcome

COLUMNS = ("what", "state", "seconds", "found", "to get it")


def row(outcome: Outcome) -> tuple[str, str, str, str, str]:
    """Cells under COLUMNS; what was not even begun took no time."""
    took = f"{outcome.seconds:.1f}" if outcome.seconds >= 0.05 else ""
    return outcome.name, outcome.status, took, outcome.value, outcome.hint or ""


def by_state(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """The names of each state's."""
    return {
        state: [each.name for each in outcomes if each.status == state]
        for state in (OK, FAILED, MISSING)
    }


def remarks(outcomes: Sequence[Outcome], machine: Mapping[str, Any], seconds: float) -> list[str]:
    """What the rows hold for, and what they come to, a sentence each."""
    counts = {state: len(names) for state, names in by_state(outcomes).items()}
    load = "unknown" if machine["load_1min"] is None else f"{machine['load_1min']:.1f}"
    return [
        f"Machine: {machine['cpu']}, cores {machine['cores']}, {machine['platform']}, Python "
        f"{machine['python']}, torch {machine['torch']}, load {load} when it began.",
        f"{counts[OK]} ok, {counts[FAILED]} failed, {counts[MISSING]} not here, in "
        f"{seconds:.0f} s.",
    ]


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A table's lines, to be pasted into an issue or a page."""
    yield line(columns)
    yield line(["---"] * len(columns))
    yield from (line([in_markdown(str(cell or "")) for cell in each]) for each in rows)


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
