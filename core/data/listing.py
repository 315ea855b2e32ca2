"""The captions of a folder of videos, in whichever way it has them, and which videos have none.

Of several ways the first of these is read: metadata.csv, metadata.jsonl, prompts.txt with
videos.txt, one .txt beside each file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from os.path import isfile, normpath
from pathlib import Path

from ..errors import UsageError
from ..media.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .beside import Contents, contents_of, read_beside
from .captions import Entry, Malformed
from .metadata import CSV_EXAMPLE, NAMES, read_metadata
from .pairs import lonely, pair_of, read_pair

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Listing:
    """What the captions of a folder say. unlisted: (file, reason) for what has none. notes:
    (file, text) on what else there is that would be read, were it alone."""

    entries: list[Entry]
    malformed: list[Malformed] = field(default_factory=list)
    unlisted: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Way:
    """One way to have captions: what to call it, what reads it, the files that need one, and why
    one of them has none."""

    name: str
    read: Callable[[], tuple[list[Entry], list[Malformed]]]
    files: list[str]
    reason: str


def is_listed(folder: str) -> bool:
    """Whether a file in it lists the clips and their captions."""
    path = Path(folder)
    return any(isfile(path / name) for name in NAMES) or pair_of(path) is not None


def has_captions(folder: Path) -> bool:
    """Whether a folder has captions, in whichever way."""
    return os.path.isdir(folder) and any(_ways(folder, contents_of(folder)))


def read_listing(folder: Path, wordless: bool = False) -> Listing:
    """The captions of the folder. wordless: where it has none, all its videos and pictures will do
    without. UsageError for a missing folder, one without captions, and a listing that cannot be
    read or has not what it needs."""
    if not os.path.isdir(folder):
        raise UsageError(f"There is no folder {folder}.")
    contents = contents_of(folder)
    ways = list(_ways(folder, contents))
    if not ways and wordless and (names := contents.videos + contents.pictures):
        return Listing([Entry(0, name, ()) for name in sorted(names)])
    if not ways and wordless:
        raise UsageError(f"{folder} holds no videos and no pictures.")
    if not ways:
        raise UsageError(_without(folder), CSV_EXAMPLE)
    way, *others = ways
    entries, malformed = way.read()
    named = [entry.file_name for entry in entries] + [each.meant for each in malformed]
    known = {normpath(name) for name in named}
    unlisted = [(name, way.reason) for name in sorted(set(way.files) - known)]
    return Listing(entries, malformed, unlisted, _notes(way, others))


def read_one(file: Path, wordless: bool = False) -> Listing:
    """One video or picture, and the caption in the .txt beside it. UsageError where there is none,
    unless `wordless`, and for what is neither."""
    if not file.name.lower().endswith((*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)):
        raise UsageError(
            f"--data takes a folder, a tar, a video or a picture, and {file} is a file.",
            "Give the folder that holds the videos and metadata.csv.",
        )
    text = file.with_suffix(".txt")
    if isfile(text):
        return Listing(*read_beside(file.parent, {file.name: text.name}))
    if not wordless:
        raise UsageError(f"{file} has no caption: no {text.name} stands beside it.")
    return Listing([Entry(0, file.name, ())])


def _ways(folder: Path, contents: Contents) -> Iterator[_Way]:
    """The ways in which the folder has captions, the one that is read first."""
    for path in (folder / name for name in NAMES):
        if isfile(path):
            reason = "it is in the folder and not in the metadata"
            yield _Way(path.name, partial(read_metadata, path), contents.videos, reason)
    if pair := pair_of(folder):
        prompts, videos = pair
        reason = f"it is in the folder and not in {videos.name}"
        name = f"{prompts.name} with {videos.name}"
        yield _Way(name, partial(read_pair, prompts, videos), contents.videos, reason)
    if count := len(contents.captions):
        name = f"{count:,} .txt file{'' if count == 1 else 's'} beside the clips"
        read = partial(read_beside, folder, contents.captions)
        yield _Way(name, read, contents.videos + contents.bare, "no .txt stands beside it")


def _notes(way: _Way, others: list[_Way]) -> list[tuple[str, str]]:
    if not others:
        return []
    first, *rest = way.name.split(" ", 1)
    unread = " nor ".join(other.name for other in others)
    read = " ".join(["is read", *rest])
    return [(first, f"{read}, and not {unread}")]


def _without(folder: Path) -> str:
    """Why the folder has no captions."""
    ways = "no prompts.txt with videos.txt, and no .txt beside a video"
    told = f"{folder} has no metadata.csv or metadata.jsonl, {ways}"
    try:
        tables = sorted(name for name in os.listdir(folder) if name.lower().endswith(TABLES))
    except OSError:
        tables = []
    if half := lonely(folder) or ", ".join(tables[:3]):
        told += f"; it has {half}"
    return f"{told}."
