"""A folder of your own videos as a data set: metadata.csv or metadata.jsonl and the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import UsageError
from ..media.decode import VIDEO_SUFFIXES, Probe, examine, read_frames
from .listing import Entry, read_listing

MIN_FRAMES = 5
MIN_SECONDS = 0.5

Kind = Literal["unreadable", "too short", "uncaptioned", "missing", "malformed"]


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a file or a line out of training."""

    file: str
    kind: Kind
    reason: str


@dataclass
class Report:
    """What a folder holds: `sound` clips, `seconds` in all, and every problem by name."""

    folder: str
    sound: int = 0
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)

    def summary(self) -> str:
        """One sentence: "Skipped 3 of 30: 2 unreadable, 1 missing."; "" without problems."""
        if not self.problems:
            return ""
        kinds = [problem.kind for problem in self.problems]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"Skipped {len(kinds)} of {self.sound + len(kinds)}: {counts}."


@dataclass(frozen=True)
class _Video:
    path: Path
    entry: Entry
    probe: Probe


class Folder:
    """The sound videos of a folder, each with its caption; the rest is in `report`.

    The folder holds metadata.csv or metadata.jsonl with `file_name` (relative to the folder; a
    video or a folder of images) and `text`; other columns are kept. count: only the first so many
    sound ones. Raises UsageError when there is no metadata, no sound video, or not such a folder.
    """

    def __init__(self, folder: Path | str, count: int | None = None) -> None:
        self.name = str(folder)
        self.report, videos = _inspect(Path(folder))
        if not videos:
            first = self.report.problems[0] if self.report.problems else None
            reason = f" {first.file}: {first.reason}." if first else ""
            raise UsageError(
                f"No video in {folder} can be used.{reason}",
                f"See every file's reason: dln data check {folder}",
            )
        if count is not None and count < 1:
            raise UsageError(f"count must be at least 1, got {count}.")
        self._videos = videos[:count]

    def __len__(self) -> int:
        return len(self._videos)

    def duration(self, index: int) -> float:
        """Length of clip `index` in seconds."""
        return self._videos[index].probe.duration

    def frames(self, index: int, times: np.ndarray, size: int) -> tuple[np.ndarray, None]:
        """times: (T,) seconds -> the centre square, uint8 (T, size, size, 3); no mask is known."""
        video = self._videos[index]
        return read_frames(video.path, times, size, video.entry.fps), None

    def caption(self, index: int, rng: np.random.Generator | None = None) -> str:
        """The text of clip `index`."""
        return self._videos[index].entry.text

    def words(self) -> list[str]:
        """Every word of the captions, normalised and sorted."""
        from ..text.vocabulary import normalise

        return sorted({word for video in self._videos for word in normalise(video.entry.text)})

    def labels(self, index: int) -> None:
        """Nothing is known but the caption."""

    def check(self) -> Report:
        """What was found in the folder, sound and not."""
        return self.report

    def extra(self, index: int) -> dict[str, str]:
        """The other columns of clip `index`."""
        return self._videos[index].entry.extra

    def fingerprint(self) -> str:
        """A hash of the names, sizes and captions of the clips served."""
        digest = sha256()
        for video in self._videos:
            size = _bytes(video.path)
            digest.update(repr((video.entry.file_name, size, video.entry.text)).encode())
        return digest.hexdigest()


def check(folder: Path | str) -> Report:
    """Look at every file and line of the folder. Raises UsageError only where Folder could not
    even begin: no such folder, no metadata, or metadata without the two columns."""
    return _inspect(Path(folder))[0]


def _inspect(folder: Path) -> tuple[Report, list[_Video]]:
    entries, malformed = read_listing(folder)
    report = Report(str(folder))
    report.problems += [Problem(name, "malformed", reason) for name, reason in malformed]
    videos = []
    for entry in entries:
        found = _look_at(folder, entry)
        if isinstance(found, Problem):
            report.problems.append(found)
        else:
            videos.append(found)
    report.problems += _unlisted(folder, entries)
    report.sound = len(videos)
    report.seconds = sum(video.probe.duration for video in videos)
    return report, videos


def _look_at(folder: Path, entry: Entry) -> _Video | Problem:
    name, path = entry.file_name, folder / entry.file_name
    if Path(name).is_absolute() or normpath(name).startswith(".."):
        return Problem(name, "malformed", f"line {entry.line} names a place outside the folder")
    if not path.exists():
        return Problem(name, "missing", f"line {entry.line} lists it, and it is not there")
    if not entry.text.strip():
        return Problem(name, "uncaptioned", f"its text on line {entry.line} is empty")
    try:
        probe = _examined(path, _stamp(path), entry.fps)
    except UsageError as error:
        return Problem(name, "unreadable", error.message.removeprefix(f"{path} ").rstrip("."))
    if probe.duration * probe.fps < MIN_FRAMES - 0.5:
        count = round(probe.duration * probe.fps)
        return Problem(name, "too short", f"it has {count} frames, {MIN_FRAMES} are needed")
    if probe.duration < MIN_SECONDS - 1e-3:
        reason = f"it lasts {probe.duration:.2f} s, {MIN_SECONDS} s are needed"
        return Problem(name, "too short", reason)
    return _Video(path, entry, probe)


@lru_cache(maxsize=1 << 20)
def _examined(path: Path, stamp: tuple[int, int], fps: float | None) -> Probe:
    return examine(path, fps)


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when the file does."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else path.stat().st_size


def _unlisted(folder: Path, entries: list[Entry]) -> list[Problem]:
    """Videos that lie in the folder and not in its metadata."""
    listed = {normpath(entry.file_name) for entry in entries}
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
    names = [str(p.relative_to(folder)) for p in found if not p.name.startswith(".")]
    reason = "it is in the folder and not in the metadata"
    return [Problem(name, "uncaptioned", reason) for name in names if name not in listed]
