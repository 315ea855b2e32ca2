"""A curve as a drawing within a page: lines of SVG in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf, log10

from ...carbon.costs.amounts import plain
from ...runs.curves import Points, is_wide
from ...text.rows import number
from ...text.shown import in_html

WIDE, HIGH = 280, 170  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 8, 24  # around the panel
MOST_POINTS = 400  # of a line; a screen has not many more columns
MOST_TICKS = 4
FEW_POWERS = 2  # of ten
LEAST = 1e-9  # what rounding may do


def chart(name: str, points: Points, measured: bool) -> str:
    """One number against the step, as <figure>; measured: now and then, so that each is seen."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    wide = is_wide(values)
    across, up = Axis(steps, (LEFT, WIDE - RIGHT)), Axis(values, (HIGH - BOTTOM, TOP), wide)
    places = [(across.at(step), up.at(value)) for step, value in thinned(points)]
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = f'{_grid(across, up)}<polyline points="{line}"/>{marks if measured else ""}'
    alt = in_html(f"{name}: {told(points)}{', on a logarithmic scale' if wide else ''}")
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{alt}">'
        f"{drawn}</svg><figcaption><b>{in_html(name)}</b> {number(values[-1])}</figcaption>"
        "</figure>"
    )


def told(points: Points) -> str:
    """The line in words, for who does not see it."""
    (first, begun), (last, ended) = points[0], points[-1]
    if first == last:
        return f"{number(begun)} at step {first:,}"
    low, high = min(value for _, value in points), max(value for _, value in points)
    return (
        f"from {number(begun)} at step {first:,} to {number(ended)} at step {last:,}, "
        f"between {number(low)} and {number(high)}"
    )


def thinned(points: Points) -> Points:
    """Of each stretch of many points the lowest and the highest, so that no peak is lost."""
    if len(points) <= MOST_POINTS:
        return points
    length = ceil(2 * len(points) / MOST_POINTS)
    stretches = (points[first : first + length] for first in range(0, len(points), length))
    ends = (sorted({min(each, key=_value), max(each, key=_value)}) for each in stretches)
    return [point for pair in ends for point in pair]


def _value(point: tuple[int, float]) -> float:
    return point[1]


class Axis:
    """From numbers to places between two ends of the drawing; logarithmic where it is wide."""

    def __init__(
        self, numbers: Sequence[float], ends: tuple[float, float], wide: bool = False
    ) -> None:
        self.wide, self.ends = wide, ends
        low, high = self._scaled(min(numbers)), self._scaled(max(numbers))
        if high - low <= LEAST * max(abs(low), abs(high), LEAST):  # a number that does not change
            half = max(abs(low) / 2, LEAST)
            low, high = low - half, high + half
        self.low, self.high = low, high

    def _scaled(self, number: float) -> float:
        return log10(number) if self.wide else float(number)

    def at(self, number: float) -> float:
        share = (self._scaled(number) - self.low) / (self.high - self.low)
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers along it, and how they are written."""
        return self._powers() if self.wide else self._steps()

    def _steps(self) -> list[tuple[float, str]]:
        step = rounded((self.high - self.low) / MOST_TICKS)
        first, last = ceil(self.low / step - LEAST), floor(self.high / step + LEAST)
        return [(step * n, short(step * n, step)) for n in range(first, last + 1)]

    def _powers(self) -> list[tuple[float, str]]:
        """Powers of ten, with their doubles and fives where there are few."""
        few = self.high - self.low < FEW_POWERS
        every = ceil((self.high - self.low) / MOST_TICKS)
        found = [float(f"{size}e{power}") for power in range(floor(self.low), ceil(self.high) + 1)
                 for size in ((1, 2, 5) if few else (1,)) if few or power % every == 0]  # fmt: skip
        there = (n for n in found if 0 < n < inf)  # at both ends of what a float can be
        inside = (n for n in there if self.low - LEAST <= log10(n) <= self.high + LEAST)
        return [(n, short(n, n)) for n in inside]


def rounded(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten from a positive number up."""
    power = 10.0 ** floor(log10(step))
    return next(power * size for size in (1, 2, 5, 10) if power * size >= step * (1 - LEAST))


def _grid(across: Axis, up: Axis) -> str:
    """The panel's rules with their numbers."""
    lines = []
    for value, words in up.ticks():
        y = up.at(value)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDE - RIGHT}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" class="up">{words}</text>')
    for step, words in across.ticks():
        lines.append(f'<text x="{across.at(step):.1f}" y="{HIGH - 6}">{words}</text>')
    return "".join(lines)


def short(number: float, step: float) -> str:
    """As an axis has room for it, so that neighbours a step away read otherwise: 12k, 3M, 0.02."""
    if abs(number) < step / 2:
        return "0"
    power = floor(log10(abs(number)) + LEAST)
    figures = max(1, power - floor(log10(step) + LEAST) + 1)
    if not -4 <= power <= 9:
        return f"{number:.{figures - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("+", "")
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * (1 - LEAST):
            return f"{plain(number / size, figures)}{letter}"
    return plain(number, figures)
