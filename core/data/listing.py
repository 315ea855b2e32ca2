"""metadata.csv and metadata.jsonl: which file says what, and which lines cannot be read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError

NAMES = ("metadata.csv", "metadata.jsonl")
COLUMNS = ("file_name", "text")
CSV_EXAMPLE = "metadata.csv begins like this:\nfile_name,text\nlion.mp4,a lion is drinking"
JSONL_EXAMPLE = 'metadata.jsonl has lines like {"file_name": "lion.mp4", "text": "a lion drinks"}'

Malformed = tuple[str, str]  # file, reason


@dataclass(frozen=True)
class Entry:
    """One line: a file relative to the folder, its caption, and the columns besides."""

    line: int
    file_name: str
    text: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def fps(self) -> float | None:
        """The column `fps`, the rate of a folder of images; None where it is no positive number."""
        try:
            rate = float(self.extra.get("fps", ""))
        except ValueError:
            return None
        return rate if rate > 0 else None


def read_listing(folder: Path) -> tuple[list[Entry], list[Malformed]]:
    """The entries of the folder's metadata, and (file, "line 7: ...") for lines that are not.

    Raises UsageError for a missing folder or metadata, another encoding than UTF-8, or metadata
    without the columns `file_name` and `text`.
    """
    if not os.path.isdir(folder):
        raise UsageError(f"There is no folder {folder}.")
    path = next((folder / name for name in NAMES if os.path.isfile(folder / name)), None)
    if path is None:
        raise UsageError(f"{folder} has no metadata.csv or metadata.jsonl.", CSV_EXAMPLE)
    try:
        lines = path.read_text(encoding="utf-8-sig").replace("\0", "\ufffd").splitlines(True)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: byte {error.start} is wrong.") from error
    read = _read_csv if path.suffix == ".csv" else _read_jsonl
    entries, malformed = [], []
    for item in read(path, lines):
        if isinstance(item, Entry):
            entries.append(item)
        else:
            malformed.append((path.name, item))
    return entries, malformed


def _read_csv(path: Path, lines: list[str]) -> Iterator[Entry | str]:
    """Yields an entry, or the reason why a line is none."""
    rows = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise UsageError(f"{path} line 1: {error}.", CSV_EXAMPLE) from error
    if missing := [name for name in COLUMNS if name not in header]:
        has = f"its first line is {','.join(header)!r}"
        raise UsageError(f"{path} has no column {' and '.join(missing)}; {has}.", CSV_EXAMPLE)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"line {line}: {error}"
            continue
        if not any(row):
            continue
        if len(row) != len(header):
            yield f"line {line}: {len(row)} fields where the first line has {len(header)}"
            continue
        yield _entry(line, dict(zip(header, row, strict=True)))


def _read_jsonl(path: Path, lines: list[str]) -> Iterator[Entry | str]:
    """As _read_csv; raises UsageError when no line has the two keys."""
    found = 0
    lacking = None
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield f"line {line}: not JSON ({getattr(error, 'msg', 'too deep')})"
            continue
        missing = [name for name in COLUMNS if not isinstance(value, dict) or name not in value]
        if missing:
            lacking = lacking or " and ".join(missing)
            yield f"line {line}: no {' and '.join(missing)}"
            continue
        found += 1
        yield _entry(line, value)
    if lacking and not found:
        raise UsageError(f"{path} has no column {lacking}.", JSONL_EXAMPLE)


def _entry(line: int, values: dict[str, Any]) -> Entry | str:
    words = {key: "" if value is None else str(value) for key, value in values.items()}
    file_name, text = words.pop("file_name").strip(), words.pop("text").strip()
    if not file_name:
        return f"line {line}: file_name is empty"
    return Entry(line, file_name, text, words)
