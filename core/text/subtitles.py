"""Subtitles as the script of a film: what is shown, from when to when."""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ..door import read_bytes
from ..errors import UsageError, reason_of, short

if TYPE_CHECKING:
    from pysubs2 import SSAEvent, SSAFile

MOST_BYTES = 8 << 20
MOST_LINES = 10_000
NAMED = 5  # lines that a note names
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
CYRILLIC = "cp1251"
_LATIN_IN_CYRILLIC = re.compile(r"[a-z][а-яё]|[а-яё][a-z]", re.IGNORECASE)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")
_SUBRIP = r"\d{1,2}:[0-5]?\d:[0-5]?\d[.,]\d{1,3}"
_WEBVTT = r"(?:\d{1,4}:)?[0-5]\d:[0-5]\d\.\d{3}"
_SUBSTATION = r"\s*\d{1,2}:[0-5]?\d:[0-5]?\d(?:[.,]\d{1,3})?\s*"
# By the format: what marks a row with times, and what such a row is like.
_TIMED = {
    "srt": ("-->", re.compile(rf"\s*{_SUBRIP}\s*-->\s*{_SUBRIP}(?:\s.*)?")),
    "vtt": ("-->", re.compile(rf"\s*{_WEBVTT}\s+-->\s+{_WEBVTT}(?:\s.*)?")),
    "ass": ("Dialogue:", re.compile(rf"\s*Dialogue:[^,]*,{_SUBSTATION},{_SUBSTATION},.*")),
}
_TIMED["ssa"] = _TIMED["ass"]
_MOMENT_IN_TEXT = re.compile(r"<[\d:.]+>")  # at which a word of karaoke is sung


@dataclass(frozen=True)
class Line:
    """One subtitle. number: its place in the file, from 1; start and end: milliseconds."""

    number: int
    start: int
    end: int
    text: str


def read_subtitles(path: Path, encoding: str | None = None) -> tuple[list[Line], list[str]]:
    """The lines of a file in the order of time, none overlapping the next, and what its reader
    should know of it.

    SubRip, WebVTT, SubStation Alpha and Advanced SubStation. encoding: of its bytes; UTF-8 or what
    its mark says unless told, Russian in cp1251 where it reads as such. A line that lasts into
    the next one is cut where that begins. UsageError naming what is wrong, and where.
    """
    text, notes = _text_of(path, encoding)
    kind = _kind_of(path, text)
    _check_times(path, text, kind)
    lines = [
        Line(number, int(event.start), int(event.end), _words(event.plaintext, kind))
        for number, event in enumerate(_spoken(_parsed(path, text, kind)), start=1)
    ]
    if not 1 <= len(lines) <= MOST_LINES:
        count = f"{len(lines):,} lines, and a film has at most {MOST_LINES:,}" if lines else "none"
        raise UsageError(f"{path} is to hold subtitles, and has {count}.")
    _check_ends(path, lines)
    return _cut(path, sorted(lines, key=lambda line: line.start), notes)


def clock(milliseconds: int) -> str:
    """83450 -> "0:01:23.450"."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest / 1000:06.3f}"


def _text_of(path: Path, encoding: str | None) -> tuple[str, list[str]]:
    """What a file's bytes say, its rows ended alike. UsageError for what is no text."""
    data, notes = read_bytes(path, MOST_BYTES), []
    name = encoding or next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(name)
    except UnicodeError as error:
        text = _russian(data) if name == "utf-8" and encoding is None else ""
        if not text:
            row = data[: getattr(error, "start", 0)].count(b"\n") + 1
            raise UsageError(f"{path} is no text in {short(name)}: see its row {row}.",
                             "--encoding cp1252, or another") from error  # fmt: skip
        notes = [f"{path} is no UTF-8 and was read as {CYRILLIC}; --encoding names another"]
    except (LookupError, ValueError):
        raise UsageError(f"there is no encoding {short(name)!r}.", "--encoding cp1251") from None
    if _NO_TEXT.search(text):
        raise UsageError(
            f"{path} is no text: it has bytes that no text has.", "a file of subtitles"
        )
    return "\n".join(text.removeprefix("\ufeff").splitlines()), notes


def _russian(data: bytes) -> str:
    """Bytes as the Russian that Windows writes; "" where words of it mix two alphabets."""
    try:
        text = data.decode(CYRILLIC)
    except UnicodeDecodeError:
        return ""
    return "" if _LATIN_IN_CYRILLIC.search(text) or _NO_TEXT.search(text) else text


def _kind_of(path: Path, text: str) -> str:
    """Of _TIMED. UsageError for what is none of them."""
    if text.lstrip().startswith("WEBVTT"):
        return "vtt"
    if found := re.search(r"^\s*\[v4(\+?) styles\+?\]", text, re.IGNORECASE | re.MULTILINE):
        return "ass" if found[1] else "ssa"
    if re.search(r"^\s*\[Script Info\]", text, re.IGNORECASE | re.MULTILINE):
        return "ass"
    if "-->" in text:
        return "srt"
    if not text.strip():
        raise UsageError(f"{path} is empty.")
    raise UsageError(f"{path} holds no subtitles of the kinds srt, vtt, ass and ssa.",
                     f"pysubs2 --to srt {path}")  # fmt: skip


def _check_times(path: Path, text: str, kind: str) -> None:
    """UsageError naming the first row whose times are none: parsers take it for words, or for
    another moment."""
    mark, timed = _TIMED[kind]
    for number, row in enumerate(text.split("\n"), start=1):
        begins = row.lstrip().startswith(mark) if kind in ("ass", "ssa") else mark in row
        if begins and not timed.fullmatch(row):
            raise UsageError(f"{path} has no times in its row {number}: {short(row.strip())!r}.")


def _parsed(path: Path, text: str, kind: str) -> SSAFile:
    from pysubs2 import SSAFile
    from pysubs2.exceptions import Pysubs2Error

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of margins and colours, which no film has
            return SSAFile.from_string(_MOMENT_IN_TEXT.sub("", text), kind)
    except (Pysubs2Error, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as {kind}: {reason_of(error)}.") from error


def _spoken(found: SSAFile) -> list[SSAEvent]:
    """What is no comment and no drawing."""
    return [event for event in found if event.is_text]


def _words(text: str, kind: str) -> str:
    """What is said, in one row; what follows an empty row of WebVTT is the next line's name."""
    if kind == "vtt":
        text = re.split(r"\n\s*\n", text)[0]
    return " ".join(html.unescape(text).split())


def _check_ends(path: Path, lines: Sequence[Line]) -> None:
    """UsageError for lines that are shown for no time at all, or less."""
    for line in lines:
        if line.end <= line.start:
            how = "when it begins" if line.end == line.start else "before it begins"
            raise UsageError(f"line {line.number} of {path} ends {how}: it lasts from "
                             f"{clock(line.start)} to {clock(line.end)}.")  # fmt: skip


def _cut(path: Path, lines: list[Line], notes: list[str]) -> tuple[list[Line], list[str]]:
    """Lines in order, each ending where the next begins if not before. UsageError for two that
    begin at the same time."""
    kept, late = [], []
    for line, after in pairwise(lines):
        if line.start == after.start:
            raise UsageError(f"lines {line.number} and {after.number} of {path} begin at the same "
                             f"time, {clock(line.start)}.")  # fmt: skip
        if line.end > after.start:
            late.append(str(line.number))
        kept.append(replace(line, end=min(line.end, after.start)))
    if late:
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        which = f"line{'s' * (len(late) > 1)} {', '.join(late[:NAMED])}{more}"
        notes = [*notes, f"cut where the next one begins: {which} of {path}"]
    return [*kept, lines[-1]], notes
