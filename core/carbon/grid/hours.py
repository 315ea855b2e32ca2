"""Intensity in time with its holes: what is missing is told where it is needed, and only there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..values import Label, Series, iso

MOST_STEPS = 2_000_000  # nineteen years of five minutes


@dataclass(frozen=True)
class FileSeries(Series):
    """A series whose value is NaN where the file has none that can be used.

    lines: the row of each step, 0 where there is none; empty for a series from elsewhere. faults:
    why, by the step, where there is a row to blame. word: what a row's number counts. remarks: what
    a user should know of how the file was read.
    """

    path: Path = Path()
    lines: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    faults: Mapping[int, str] = field(default_factory=dict)
    word: str = "line"
    remarks: tuple[str, ...] = ()

    def sound(self, start: datetime | None = None, end: datetime | None = None) -> Series:
        """The intervals that touch [start, end), of the whole file by default. UsageError where
        one of them has no value, with its row and time."""
        part = self.between(start or self.start, end or self.end)
        bad = np.flatnonzero(np.isnan(part.g_per_kwh))
        if len(bad):
            first = self.index(part.time(int(bad[0])))
            others = f"{len(bad) - 1:,} other step{'s that are' if len(bad) > 2 else ' that is'}"
            more = f", nor for {others} needed" if len(bad) > 1 else ""
            raise UsageError(
                f"{self.path} has no value for {iso(self.time(first))}{more}: {self.why(first)}.",
                f"mend the file, or interpolate: --fill {_longest(bad)}",
            )
        return part

    def why(self, index: int) -> str:
        """What is wrong with a step."""
        if index in self.faults:
            return self.faults[index]
        before = np.flatnonzero(self.lines[:index])
        after = f", after {self.word} {self.lines[before[-1]]}" if len(before) else ""
        return f"there is no row for it{after}"

    def filled(self, most: int) -> "FileSeries":
        """With the holes of at most so many steps interpolated between their neighbours."""
        values, known = self.g_per_kwh.copy(), np.flatnonzero(~np.isnan(self.g_per_kwh))
        for left, right in pairwise(known):
            if 1 < right - left <= most + 1:
                line = np.linspace(values[left], values[right], right - left + 1)
                values[left : right + 1] = line
        count = int(np.isnan(self.g_per_kwh).sum() - np.isnan(values).sum())
        if not count:
            return self
        told = f"{self.label.origin}, {count:,} of {len(values):,} steps filled in"
        return replace(self, g_per_kwh=values, label=replace(self.label, origin=told))

    def remarked(self) -> "FileSeries":
        """With a remark on the holes that are left. UsageError where there are holes all over."""
        bad = np.flatnonzero(np.isnan(self.g_per_kwh))
        if not len(bad):
            return self
        first = int(bad[0])
        if 1 + np.count_nonzero(np.diff(bad) > 1) > max(1, len(self.g_per_kwh) / 4):
            raise UsageError(
                f"{self.path} has holes all over: {len(bad):,} of {len(self.g_per_kwh):,} steps "
                f"lack a value, the first {iso(self.time(first))}.",
                "--fill 1",
            )
        told = (f"{len(bad):,} of {len(self.g_per_kwh):,} steps of {self.path} have no value that "
                f"can be used, the first {iso(self.time(first))}: {self.why(first)}")  # fmt: skip
        return replace(self, remarks=(*self.remarks, told))


def _longest(bad: np.ndarray) -> int:
    """The length of the longest run of consecutive numbers."""
    runs = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1)
    return max(len(run) for run in runs)


@dataclass(frozen=True)
class Entry:
    """One row: when its interval starts, its g/kWh or why there is none, and where it stands."""

    time: datetime
    value: float | None
    fault: str
    line: int


def laid_out(
    entries: Sequence[Entry], step: timedelta, label: Label, path: Path, word: str = "line"
) -> FileSeries:
    """The entries, in any order, on the grid of their step. UsageError for a time that is not on
    it, and for a span of more than MOST_STEPS."""
    first = min(entry.time for entry in entries)
    count = (max(entry.time for entry in entries) - first) // step + 1
    if count > MOST_STEPS:
        raise UsageError(
            f"{path} spans {count:,} steps of {step.total_seconds():g} s: too many.",
            "is a year mistyped? cut out those that count",
        )
    layout = _Layout(np.full(count, np.nan), np.zeros(count, np.int64), word)
    for entry in entries:
        index, rest = divmod(entry.time - first, step)
        if rest:
            raise UsageError(
                f"{word} {entry.line} of {path}: {iso(entry.time)} does not fit the others, which "
                f"are {step.total_seconds() / 60:g} min apart.", "every interval once"
            )  # fmt: skip
        layout.put(index, entry)
    if layout.differing > count / 4:
        raise UsageError(
            f"{path} has several values for the same time, as {layout.example}: "
            f"{layout.differing:,} of {count:,} steps.",
            "one zone alone: --zone NAME, as it stands in the file",
        )  # fmt: skip
    remarks = layout.remarks(path)
    return FileSeries(
        first, step, layout.values, label, path, layout.lines, layout.faults, word, remarks
    )


@dataclass
class _Layout:
    """Values and rows by the step, as they are put there."""

    values: NDArray[np.float64]
    lines: NDArray[np.int64]
    word: str
    faults: dict[int, str] = field(default_factory=dict)
    alike: list[str] = field(default_factory=list)
    differing: int = 0
    example: str = ""

    def put(self, index: int, entry: Entry) -> None:
        """A second row for a step must say the same as the first."""
        if not self.lines[index]:
            self.lines[index] = entry.line
            if entry.value is None:
                self.faults[index] = f"{self.word} {entry.line} {entry.fault}"
            else:
                self.values[index] = entry.value
            return
        both = f"{self.word}s {self.lines[index]} and {entry.line}"
        if index not in self.faults and self.values[index] == entry.value:
            self.alike.append(f"{both}, {iso(entry.time)}")
        else:
            self.differing += index not in self.faults
            self.example = self.example or f"{both} for {iso(entry.time)}"
            self.values[index] = np.nan
            self.faults[index] = f"{both} each have one"

    def remarks(self, path: Path) -> tuple[str, ...]:
        if not self.alike:
            return ()
        more = f", and {len(self.alike) - 1:,} more" if len(self.alike) > 1 else ""
        return (f"a time stands twice in {path}, alike: {self.alike[0]}{more}",)
