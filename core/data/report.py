"""What a folder of videos or a tar of samples holds, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any, Literal, TypeVar

from ..errors import UsageError

Kind = Literal["unreadable", "too short", "uncaptioned", "missing", "malformed"]


@dataclass(frozen=True)
class Note:
    """What should be known of a file that is used: "is interlaced, read as it is"."""

    file: str
    text: str


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a file or a line out of training."""

    file: str
    kind: Kind
    reason: str


Bad = TypeVar("Bad")


def parted(found: Iterable[Any], bad: type[Bad]) -> tuple[list[Any], list[Bad]]:
    """What is sound and what is `bad`, each in its order."""
    sound, problems = [], []
    for each in found:
        (problems if isinstance(each, bad) else sound).append(each)
    return sound, problems


@dataclass
class Report:
    """What a folder holds: `sound` clips, `seconds` in all, every problem and note by name, and how
    many `captions` the clips have that differ."""

    folder: str
    sound: int = 0
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    captions: int = 0

    def summary(self) -> str:
        """Sentences: "Skipped 3 of 30: 2 unreadable, 1 missing. a.mp4 is interlaced, read as it is
        (and 2 more like it)."; "" where there is nothing to say."""
        return " ".join(filter(None, [self.skipped(), *self._noted()]))

    def skipped(self) -> str:
        """The first of these sentences."""
        if not self.problems:
            return ""
        kinds = [problem.kind for problem in self.problems]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"Skipped {len(kinds)} of {self.sound + len(kinds)}: {counts}."

    def _noted(self) -> Iterator[str]:
        """Each thing that is noted, of one file by name."""
        files: dict[str, list[str]] = {}
        for note in self.notes:
            files.setdefault(note.text, []).append(note.file)
        for text, (first, *others) in files.items():
            yield f"{first} {text}{f' (and {len(others)} more like it)' if others else ''}."

    def chosen(self, sound: Sequence, count: int | None) -> Sequence:
        """The first `count` of the sound samples, all for None. UsageError where there are none,
        or for a count below 1."""
        if not sound:
            first = self.problems[0] if self.problems else None
            reason = f" {first.file}: {first.reason}." if first else ""
            raise UsageError(
                f"No video in {self.folder} can be used.{reason}",
                f"See every file's reason: dln data check {quote(self.folder)}",
            )
        if count is not None and count < 1:
            raise UsageError(f"count must be at least 1, got {count}.")
        return sound[:count]
