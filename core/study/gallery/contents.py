"""What a gallery is of: folders, runs and single files, and which of their files its page holds.

A page that holds everything is as large as all of it and a third more. So it holds files of up to
MOST_FILE bytes until they have MOST_HELD, refers to the others where they lie, and shows the first
MOST_SHOWN of all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from ...errors import UsageError, reason_of
from ...training.contents import CONFIG, read_record
from ...training.run import Run
from .looks import SUFFIXES, is_medium, media_in

MOST_FILE = 20_000_000  # bytes; browsers take less than 32 MiB in the place of an address
MOST_HELD = 64_000_000  # bytes of all files in a page
MOST_SHOWN = 1000  # clips and pictures
RUNS = "runs"  # where trainings lie unless they were told otherwise
SHEET = re.compile(r"(?P<stage>[^.].*)-(?P<step>\d{6,})\.png")
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}".replace(".", "")


@dataclass(frozen=True)
class Item:
    """A file of the gallery. size: bytes; written: seconds since 1970; held: whether it lies in
    the page itself, else it is referred to."""

    path: Path
    size: int
    written: float
    held: bool


@dataclass(frozen=True)
class Section:
    """A folder's clips and pictures, a run's samples, or files that were named. rest: those that
    are too many to be shown."""

    name: str
    run: Path | None = None
    sheets: list[Item] = field(default_factory=list)
    clips: list[Item] = field(default_factory=list)
    rest: list[Path] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        return [*self.sheets, *self.clips]


def gather(paths: Sequence[Path], link: bool = False) -> list[Section]:
    """The sections, in the order of what was named; link: no file lies in the page. UsageError
    for what is not there or holds nothing that could be shown."""
    room = Room(link)
    folders = [each for path in paths if os.path.isdir(path) for each in _within(path)]
    files = [_medium(path) for path in paths if not os.path.isdir(path)]
    once = {os.path.realpath(folder): folder for folder in folders}
    sections = [room.folder(folder) for folder in once.values()]
    named = list(dict.fromkeys(files))
    return [*sections, *([room.section("the files named", named)] if named else [])]


def _within(folder: Path) -> list[Path]:
    """The folder itself, where it is a run or has files to show, and the runs that lie in it or
    in its folder RUNS."""
    with _readable(folder):
        if is_run(folder):
            return [folder]
        near = [*folder.glob(f"*/{CONFIG}"), *folder.glob(f"{RUNS}/*/{CONFIG}")]
        runs = [path.parent for path in sorted(near) if is_run(path.parent)]
        own = [folder] if media_in(folder) else []
        if not own and not runs:
            raise UsageError(f"There is no {KINDS}, and no run, in {folder}.", _other(folder))
    return [*own, *runs]


def is_run(folder: Path) -> bool:
    """Whether a training wrote it, also where its configuration is damaged."""
    if not os.path.isfile(folder / CONFIG):
        return False
    if os.path.isfile(folder / "stats.jsonl"):
        return True
    with suppress(UsageError):
        return bool(read_record(folder))
    return False


def _medium(path: Path) -> Path:
    """UsageError for what is no file, or of no kind that a gallery shows."""
    if not os.path.lexists(path):
        raise UsageError(f"There is no file or folder {path}.", "dln gallery DIR")
    if not is_medium(path):
        raise UsageError(f"{path} is no {KINDS}, and no folder.", "dln gallery DIR")
    return path


def _other(folder: Path) -> str:
    """What to try where there is nothing: a folder below that has something, else to make it."""
    for below in sorted(folder.iterdir()):
        with suppress(OSError):
            if below.is_dir() and media_in(below):
                return f"dln gallery {quote(str(below))}"
    return f'dln generate "lion drinking" --out {quote(str(folder))}/'


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Inside, a folder that cannot be read is a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {reason_of(error)}.") from error


class Room:
    """How much the page may still hold, and show."""

    def __init__(self, link: bool) -> None:
        self.link, self.held, self.shown = link, MOST_HELD, MOST_SHOWN

    def section(self, name: str, files: Sequence[Path]) -> Section:
        clips = list(self._items(files))
        return Section(name, clips=clips, rest=list(files[len(clips) :]))

    def folder(self, folder: Path) -> Section:
        """A folder's files, or a run's contact sheets and the clips that lie beside them."""
        with _readable(folder):
            run = folder if is_run(folder) else None
            sheets = sheets_in(folder) if run else []
            files = media_in(folder)
        drawn = list(self._items(sheets))
        clips = list(self._items(files))
        rest = [*sheets[len(drawn) :], *files[len(clips) :]]
        name = os.path.basename(os.path.abspath(folder)) if folder.name in ("", "..") else folder
        return Section(str(name), run, drawn, clips, rest)

    def _items(self, files: Sequence[Path]) -> Iterator[Item]:
        for path in files[: self.shown]:
            self.shown -= 1
            size, written = 0, 0.0
            with suppress(OSError):  # gone again, which is told when it is looked at
                status = os.stat(path)
                size, written = status.st_size, status.st_mtime
            held = not self.link and size <= min(self.held, MOST_FILE)
            self.held -= size if held else 0
            yield Item(path, size, written, held)


def sheets_in(run: Path) -> list[Path]:
    """A run's contact sheets: stage by stage as they were trained, in the order of steps."""
    folder = run / "samples"
    if not os.path.isdir(folder):
        return []
    found = {path: SHEET.fullmatch(path.name) for path in folder.iterdir()}
    named = {path: (match["stage"], int(match["step"])) for path, match in found.items() if match}
    stages = list(dict.fromkeys([*map(_stage, Run(run, {}).rows()), *sorted(
        stage for stage, _ in named.values())]))  # fmt: skip
    return sorted(named, key=lambda path: (stages.index(named[path][0]), named[path][1]))


def _stage(row: Mapping[str, Any]) -> str:
    return str(row.get("stage"))
