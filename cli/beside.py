"""`dln bench --beside`: each generator's step and what one would take instead, side by side."""

from typing import TYPE_CHECKING, Any

from .progress import progress
from .show import Result, screen, table

if TYPE_CHECKING:
    from dln.export.beside.race import Raced
    from dln.export.beside.rows import Row

COLUMNS = ("", "what", "parameters", "ms", "95 %", "a second", "x", "95 %")


def beside(
    engines: tuple[str, ...], rounds: dict[str, int], threads: int | None, device: str
) -> Result:
    """Measure, and say what is not here. rounds: as asked, or nothing."""
    from dln.export.beside.race import Race, race

    asked = Race(engines, threads=threads, device=device, **rounds)
    with progress() as report:
        found = race(asked, report)
    for gone in found.absent:
        screen.note(f"{gone.name} is not here: {gone.reason}; {gone.hint}")
    brief = [f"{one.name}\t{one.unit}\t{one.ms:.4g}" for one in found.rows]
    return Result(found.data(), drawn(found), brief)


def drawn(found: "Raced") -> Any:
    """A table a group, and what the numbers hold for."""
    from rich.console import Group
    from rich.text import Text

    groups = dict.fromkeys(one.group for one in found.rows)
    parts: list[Any] = []
    for group in groups:
        rows = [one for one in found.rows if one.group == group]
        lines = [cells(one) for one in rows] + [
            (gone.name, f"not here: {gone.hint}", *["-"] * 6)
            for gone in found.absent if gone.group == group
        ]  # fmt: skip
        parts += [table(COLUMNS, lines, title=f"{group}: ms a {rows[0].unit}"), ""]
    return Group(*parts, *map(Text, remarks(found)))


def cells(one: "Row") -> tuple[str, ...]:
    """A row under COLUMNS."""
    return (
        one.name,
        one.what,
        f"{one.parameters / 1e6:.2f} M",
        f"{one.ms:.3g}",
        f"{one.ms_low:.3g} to {one.ms_high:.3g}",
        f"{one.a_second:.3g}",
        f"{one.ratio:.2f}",
        f"{one.ratio_low:.2f} to {one.ratio_high:.2f}",
    )


def remarks(found: "Raced") -> list[str]:
    """What the numbers are and what they hold for, a sentence each."""
    about = found.machine
    load = "unknown" if about["load_1min"] is None else f"{about['load_1min']:.1f}"
    return [
        f"Machine: {about['cpu']}, cores {about['cores']}, threads {about['threads']}, "
        f"device {about['device']}, torch {about['torch']}, load {load} when it began.",
        f"Random weights, fp32, {found.rounds} rounds in which each has its turn; medians, and "
        "where they lie with 95 %.",
        "x: how many times as long as the first row of its table, round by round; rows of other "
        "sizes do other work.",
    ]
