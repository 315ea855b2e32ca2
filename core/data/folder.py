"""A folder of your own videos as a data set: metadata.csv or metadata.jsonl and the files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from os.path import normpath
from pathlib import Path

import numpy as np

from ..errors import UsageError, short
from ..files import stamp_of
from ..media.decode import Examined, read_frames
from ..media.names import VIDEO_SUFFIXES, images_of
from ..progress import OnProgress, unheard
from .checks import Finding, Passing, finding_of, judged, kept, look, look_all
from .index import Index, Stamp
from .listing import Entry, read_listing
from .places import leads_out, regular
from .report import Note, Problem, Report, parted
from .source import Source


@dataclass(frozen=True)
class _File:
    path: Path
    entry: Entry
    bytes: int
    stamp: Stamp


@dataclass(frozen=True)
class _Video:
    path: Path
    entry: Entry
    bytes: int
    seen: Examined


class Folder(Source):
    """The sound videos of a folder, each with its caption; the rest is in `report`.

    The folder holds metadata.csv or metadata.jsonl with `file_name` (relative to the folder; a
    video or a folder of images) and `text`; other columns are kept. count: only the first so many
    sound ones. Raises UsageError when there is no metadata, no sound video, or not such a folder.
    """

    report: Report

    def __init__(self, folder: Path | str, count: int | None = None) -> None:
        self.name = str(folder)
        self.report, videos = _inspect(Path(folder))
        self._videos: Sequence[_Video] = self.report.chosen(videos, count)

    def __len__(self) -> int:
        return len(self._videos)

    def duration(self, index: int) -> float:
        return self._videos[index].seen.probe.duration

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """The frames at `times` as Source tells; no mask is known."""
        video = self._videos[index]
        return read_frames(video.path, times, size, video.entry.fps), None

    def caption(self, index: int, rng: np.random.Generator | None = None) -> str:
        """The text of clip `index`."""
        return self._videos[index].entry.text

    def words(self) -> list[str]:
        from ..text.vocabulary import normalise

        return sorted({word for video in self._videos for word in normalise(video.entry.text)})

    def extra(self, index: int) -> dict[str, str]:
        """The other columns of clip `index`."""
        return self._videos[index].entry.extra

    def fingerprint(self) -> str:
        """A hash of the names, sizes and captions of the clips served."""
        digest = sha256()
        for video in self._videos:
            entry = video.entry
            digest.update(repr((entry.file_name, video.bytes, entry.text)).encode())
        return digest.hexdigest()


def check(folder: Path | str, on_progress: OnProgress = unheard) -> Report:
    """Look at every file and line of the folder. Raises UsageError only where Folder could not
    even begin: no such folder, no metadata, or metadata without the two columns."""
    return _inspect(Path(folder), on_progress)[0]


def _inspect(folder: Path, on_progress: OnProgress = unheard) -> tuple[Report, list[_Video]]:
    entries, malformed = read_listing(folder)
    report = Report(str(folder))
    report.problems += [Problem(name, "malformed", reason) for name, reason in malformed]
    looked = [_look_at(folder, entry) for entry in entries]
    found = [each for each in looked if isinstance(each, _File)]
    files = iter(_examined(folder, found, on_progress))
    found = [next(files) if isinstance(each, _File) else each for each in looked]
    videos, problems = parted(found)
    report.problems += problems
    report.problems += _unlisted(folder, entries)
    report.sound = len(videos)
    report.seconds = sum(video.seen.probe.duration for video in videos)
    report.notes = [Note(v.entry.file_name, note) for v in videos for note in v.seen.notes]
    return report, videos


def _look_at(folder: Path, entry: Entry) -> _File | Problem:
    """What can be said without opening the file."""
    # Absolute: FFmpeg takes what comes before a colon ("http:/a.mp4") for a protocol.
    name, path = entry.file_name, folder.absolute() / entry.file_name
    if leads_out(name):
        return Problem(name, "malformed", f"line {entry.line} names a place outside the folder")
    try:
        size, *changes = _measure(path)
    except UsageError as error:
        return Problem(name, "unreadable", error.message)
    except (OSError, ValueError):
        return Problem(name, "missing", f"line {entry.line} lists it, and it is not there")
    if entry.fps is None and entry.extra.get("fps") and os.path.isdir(path):
        rate = short(entry.extra["fps"])
        return Problem(name, "malformed", f"the fps on line {entry.line} are {rate!r}")
    if not entry.text:
        return Problem(name, "uncaptioned", f"its text on line {entry.line} is empty")
    return _File(path, entry, size, (size, *changes, entry.fps))


def _measure(path: Path) -> list[int]:
    """A file's bytes and the rest of its stamp; of a folder of images, their bytes, their number
    and the latest of their stamps. OSError where it is not there, UsageError where reading it
    might never end."""
    own = path.stat()
    if not stat.S_ISDIR(own.st_mode):
        return stamp_of(regular(own, "it"))
    inside = [stamp_of(regular(image.stat(), image.name)) for image in images_of(path)]
    sizes, *rest = zip(*inside, strict=True) if inside else ((0,),)
    return [sum(sizes), len(inside), *(max(each) for each in rest)]


def _examined(folder: Path, files: list[_File], on_progress: OnProgress) -> list[_Video | Problem]:
    """Each file opened, or remembered by the index from an earlier start."""
    index = Index(folder)
    known = [finding_of(index.get(each.entry.file_name, each.stamp)) for each in files]
    new = [each for each, finding in zip(files, known, strict=True) if finding is None]
    looks = [partial(look, each.path, each.entry.fps) for each in new]
    found = []
    try:
        for each, finding in zip(new, look_all(looks, on_progress), strict=True):
            found.append(finding)
            if not isinstance(finding, Passing):
                index.put(each.entry.file_name, each.stamp, kept(finding))
    finally:  # an hour's look that is interrupted is not begun again
        index.save()
    fresh = iter(found)
    verdicts = [next(fresh) if finding is None else finding for finding in known]
    return [_verdict(each, finding) for each, finding in zip(files, verdicts, strict=True)]


def _verdict(file: _File, finding: Finding) -> _Video | Problem:
    seen = judged(file.entry.file_name, finding)
    sound = isinstance(seen, Examined)
    return _Video(file.path, file.entry, file.bytes, seen) if sound else seen


def _unlisted(folder: Path, entries: list[Entry]) -> list[Problem]:
    """Videos that lie in the folder and not in its metadata."""
    listed = {normpath(entry.file_name) for entry in entries}
    reason = "it is in the folder and not in the metadata"
    names = sorted(set(_video_names(folder)) - listed)
    return [Problem(name, "uncaptioned", reason) for name in names]


def _video_names(folder: Path) -> Iterator[str]:
    """Every video below the folder, relative to it; hidden files are none."""
    for place, _, names in os.walk(folder):
        inside = os.path.relpath(place, folder)
        for name in names:
            if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith("."):
                yield normpath(os.path.join(inside, name))
