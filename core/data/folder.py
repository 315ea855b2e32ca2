"""A folder of your own videos as a data set: their captions and the files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from os.path import isabs
from pathlib import Path
from unicodedata import normalize

import numpy as np

from ..errors import UsageError, short
from ..files import stamp_of
from ..media.decode import Examined, Stopped, read_frames
from ..media.names import images_of, is_image
from ..media.picture import fitted, read_picture, recent_picture
from ..progress import OnProgress, unheard
from .captions import Entry, drawn, identity
from .checks import Finding, Passing, finding_of, judged, kept, look, look_all, look_at_picture
from .index import Index, Stamp
from .listing import read_listing, read_one
from .places import leads_out, regular
from .report import Note, Problem, Report, parted
from .source import Source, still_frames


@dataclass(frozen=True)
class _File:
    path: Path
    entry: Entry
    bytes: int
    stamp: Stamp

    @property
    def still(self) -> bool:
        """Whether it is a picture."""
        return is_image(self.path) and not os.path.isdir(self.path)


@dataclass(frozen=True)
class _Video:
    path: Path
    entry: Entry
    bytes: int
    seen: Examined
    still: bool


class Folder(Source):
    """The sound videos of a folder, each with its caption; the rest is in `report`.

    The folder holds metadata.csv or metadata.jsonl with `file_name` (relative to the folder; a
    video, a folder of images, or a picture, which stands still) and `text` (in JSON a list gives
    several captions), other columns being kept; or prompts.txt with videos.txt; or a .txt beside
    each file. In place of a folder: one video or picture. count: only the first so many sound ones.
    on_progress: as check tells it. wordless: where there are no captions at all, each is "". Raises
    UsageError when there are no captions, no sound video, or not such a folder.
    """

    report: Report

    def __init__(
        self,
        folder: Path | str,
        count: int | None = None,
        on_progress: OnProgress = unheard,
        wordless: bool = False,
    ) -> None:
        self.name = str(folder)
        self.report, videos = _inspect(Path(folder), on_progress, wordless)
        self._videos: Sequence[_Video] = self.report.chosen(videos, count)

    def __len__(self) -> int:
        return len(self._videos)

    def duration(self, index: int) -> float:
        return self._videos[index].seen.probe.duration

    def rate(self, index: int) -> float | None:
        """Of a video its mean rate; a picture stands still."""
        video = self._videos[index]
        return None if video.still else video.seen.probe.fps

    def still(self, index: int) -> bool:
        return self._videos[index].still

    def shape(self, index: int) -> tuple[int, int]:
        probe = self._videos[index].seen.probe
        return probe.height, probe.width

    def whole(self, index: int, times: np.ndarray) -> np.ndarray:
        video = self._videos[index]
        if video.still:
            return still_frames(recent_picture(video.path), len(times))
        return read_frames(video.path, times, self.shape(index), video.entry.fps)

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """The frames at `times` as Source tells; no mask is known."""
        video = self._videos[index]
        if video.still:
            return still_frames(fitted(read_picture(video.path), size), len(times)), None
        return read_frames(video.path, times, size, video.entry.fps), None

    def file(self, index: int) -> str:
        """The file of clip `index`, relative to the folder."""
        return self._videos[index].entry.file_name

    def caption(self, index: int, rng: np.random.Generator | None = None) -> str:
        """A caption of clip `index`, the first where no `rng` draws one."""
        return drawn(self._videos[index].entry.texts, rng)

    def words(self) -> list[str]:
        from ..text.vocabulary import normalise

        texts = {text for video in self._videos for text in video.entry.texts}
        return sorted({word for text in texts for word in normalise(text)})

    def extra(self, index: int) -> dict[str, str]:
        """The other columns of clip `index`."""
        return self._videos[index].entry.extra

    def fingerprint(self) -> str:
        """A hash of the names, sizes and captions of the clips served."""
        digest = sha256()
        for video in self._videos:
            entry = video.entry
            told = entry.file_name, video.bytes, identity(entry.texts)
            digest.update(repr(told).encode())
        return digest.hexdigest()


def check(folder: Path | str, on_progress: OnProgress = unheard) -> Report:
    """Look at every file and line of the folder. Raises UsageError only where Folder could not
    even begin: no such folder, no captions, or a listing that is none.

    on_progress: is told how many files of how many are done."""
    return _inspect(Path(folder), on_progress)[0]


def _inspect(
    place: Path, on_progress: OnProgress = unheard, wordless: bool = False
) -> tuple[Report, list[_Video]]:
    """place: a folder, or the one file that is meant."""
    alone = os.path.isfile(place)
    folder = place.parent if alone else place
    listing = read_one(place, wordless) if alone else read_listing(place, wordless)
    report = Report(str(place), notes=[Note(*note) for note in listing.notes])
    report.problems += [Problem(file, "malformed", reason) for file, reason, _ in listing.malformed]
    captioned = any(entry.texts for entry in listing.entries)
    looked = [_look_at(folder, entry, captioned or not wordless) for entry in listing.entries]
    found = [each for each in looked if isinstance(each, _File)]
    files = iter(_examined(place, found, on_progress))
    found = [next(files) if isinstance(each, _File) else each for each in looked]
    videos, problems = parted(found, Problem)
    report.problems += problems
    report.problems += [Problem(name, "uncaptioned", reason) for name, reason in listing.unlisted]
    report.sound = len(videos)
    report.captions = len({text for video in videos for text in video.entry.texts})
    report.seconds = sum(video.seen.probe.duration for video in videos)
    report.notes += [Note(v.entry.file_name, note) for v in videos for note in v.seen.notes]
    return report, videos


def _look_at(folder: Path, entry: Entry, captioned: bool) -> _File | Problem:
    """What can be said without opening the file. captioned: whether it has to be."""
    # Absolute: FFmpeg takes what comes before a colon ("http:/a.mp4") for a protocol.
    name, path = entry.file_name, folder.absolute() / entry.file_name
    if leads_out(name):
        return Problem(name, "malformed", _led_out(entry))
    try:
        size, *changes = _measure(path)
    except UsageError as error:
        return Problem(name, "unreadable", error.message)
    except (OSError, ValueError):
        return Problem(name, "missing", _missing(folder, entry))
    if entry.fps is None and entry.extra.get("fps") and os.path.isdir(path):
        rate = short(entry.extra["fps"])
        return Problem(name, "malformed", f"the fps on line {entry.line} are {rate!r}")
    if captioned and not entry.texts:
        return Problem(name, "uncaptioned", f"its text {entry.place} is empty")
    return _File(path, entry, size, (size, *changes, entry.fps))


def _led_out(entry: Entry) -> str:
    if isabs(entry.file_name):
        return f"line {entry.line} names it from the root on, not from the folder on"
    return f"line {entry.line} names a place outside the folder"


def _missing(folder: Path, entry: Entry) -> str:
    """Says too where a file has the name as another system writes it: Windows has other strokes,
    a Mac other accents."""
    name = entry.file_name
    listed = f"line {entry.line} lists it" if entry.line else "a .txt stands beside it"
    told = f"{listed}, and it is not there"
    plain = name.replace("\\", "/")
    for other in (plain, normalize("NFC", plain), normalize("NFD", plain)):
        if other != name and not leads_out(other) and os.path.exists(folder / other):
            alike = normalize("NFC", other) == normalize("NFC", name)
            return f"{told}: {other} is{', with its accents written otherwise' if alike else ''}"
    return told


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


def _examined(place: Path, files: list[_File], on_progress: OnProgress) -> list[_Video | Problem]:
    """Each file opened, or remembered by the index from an earlier start."""
    index = Index(place)
    known = [finding_of(index.get(each.entry.file_name, each.stamp)) for each in files]
    new = [each for each, finding in zip(files, known, strict=True) if finding is None]
    looks = [_look(each) for each in new]
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


def _look(file: _File) -> Callable[[Stopped], Finding]:
    if file.still:
        return partial(look_at_picture, file.path)
    return partial(look, file.path, file.entry.fps)


def _verdict(file: _File, finding: Finding) -> _Video | Problem:
    seen = judged(file.entry.file_name, finding)
    sound = isinstance(seen, Examined)
    return _Video(file.path, file.entry, file.bytes, seen, file.still) if sound else seen
