"""prompts.txt and videos.txt: line i of the one is the caption of the file on line i of the other,
as the trainers of CogVideoX have it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from os.path import isfile
from pathlib import Path

from ..errors import UsageError
from .captions import Entry, Malformed, lines_of
from .metadata import read_text
from .report import parted

PROMPTS = ("prompts.txt", "prompt.txt", "captions.txt", "caption.txt")
VIDEOS = ("videos.txt", "video.txt")


def pair_of(folder: Path) -> tuple[Path, Path] | None:
    """The files of captions and of names, by the first names that are there; None without both."""
    prompts, videos = _found(folder)
    return (folder / prompts, folder / videos) if prompts and videos else None


def lonely(folder: Path) -> str | None:
    """Which of the two is there without the other: "videos.txt and no prompts.txt"."""
    prompts, videos = _found(folder)
    if bool(prompts) == bool(videos):
        return None
    return f"{prompts or videos} and no {VIDEOS[0] if prompts else PROMPTS[0]}"


def _found(folder: Path) -> list[str | None]:
    return [next((n for n in names if isfile(folder / n)), None) for names in (PROMPTS, VIDEOS)]


def read_pair(prompts: Path, videos: Path) -> tuple[list[Entry], list[Malformed]]:
    """The entries, and (file, "line 7: ...") for captions without a file. UsageError where the
    files have not as many lines as each other, blank ones at the end aside."""
    return parted(_matched(prompts, videos), Malformed)


def _matched(prompts: Path, videos: Path) -> Iterator[Entry | Malformed]:
    texts, names = (_lines(path) for path in (prompts, videos))
    if len(texts) != len(names) and len(_rest(texts)) != len(_rest(names)):
        raise UsageError(
            f"{prompts} has {len(texts)} lines and {videos.name} {len(names)}: line i of the one "
            "is the caption of the file on line i of the other.",
            f"paste -d '|' {videos} {prompts}",
        )
    pairs = zip_longest(texts, names, fillvalue="")  # what is longer has blank lines at its end
    for line, (text, name) in enumerate(pairs, 1):
        if name:
            yield Entry(line, name, (text,) if text else ())
        elif text:
            reason = f"line {line} is empty, and {prompts.name} has a caption there"
            yield Malformed(videos.name, reason)


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in lines_of(read_text(path))]
    return lines if lines[-1] else lines[:-1]  # the last one ends like the others


def _rest(lines: list[str]) -> list[str]:
    """Without the blank ones at the end."""
    filled = [number for number, line in enumerate(lines, 1) if line]
    return lines[: filled[-1] if filled else 0]
