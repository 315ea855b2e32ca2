"""metadata.csv and metadata.jsonl: what each line says, and which lines cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from json import JSONDecodeError
from pathlib import Path
from shlex import quote
from typing import Any

from ..door import json_value, read_bytes
from ..errors import UsageError, short
from .captions import Entry, Malformed, decoded, kind_of, lines_of, texts_of
from .report import parted

NAMES = ("metadata.csv", "metadata.jsonl")  # the first that is there is read
COLUMNS = ("file_name", "text")
# What other trainers call them.
ALSO = {
    "file_name": ("filename", "file", "file_path", "filepath", "path", "name", "video", "videos",
                  "video_path", "video_file", "video_file_name", "video_name", "clip", "image",
                  "media_path"),
    "text": ("caption", "captions", "prompt", "prompts", "short_prompt", "description", "texts"),
}  # fmt: skip
DELIMITERS = ",;\t"
# A quoted field begins where a field does. What nothing closes goes on to the end, so that no text
# takes longer than its length.
QUOTED = {".csv": r'(?<![^,;\t\r\n])"[^"]*(?:""[^"]*)*"?',
          ".jsonl": r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?'}  # fmt: skip
MOST_BYTES = 256 << 20  # of a listing; a million lines have 100 MB
CSV_EXAMPLE = "metadata.csv begins like this:\nfile_name,text\nlion.mp4,a lion is drinking"
JSONL_EXAMPLE = 'metadata.jsonl has lines like {"file_name": "lion.mp4", "text": "a lion drinks"}'
UNCLOSED = "a quote opens that nothing closes: what follows it is not read"


def read_text(path: Path) -> str:
    """The text of a file of captions. UsageError where it cannot be read, or is not UTF-8."""
    try:
        return decoded(read_bytes(path, MOST_BYTES)).replace("\0", "\ufffd")
    except ValueError as error:
        raise UsageError(f"{path} {error}.", "Save it as UTF-8.") from error


def read_metadata(path: Path) -> tuple[list[Entry], list[Malformed]]:
    """The entries of metadata.csv or metadata.jsonl, and (file, "line 7: ...") for lines that are
    none. UsageError for a file that is no such listing, or has not the columns."""
    text = read_text(path)
    lines = lines_of(text, QUOTED[path.suffix])
    if path.suffix == ".jsonl":
        _refuse_other_json(path, text)
    return parted((_read_csv if path.suffix == ".csv" else _read_jsonl)(path, lines), Malformed)


def _read_csv(path: Path, lines: list[str]) -> Iterator[Entry | Malformed]:
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=_delimiter(lines), strict=True)
    try:
        header = [name.strip() for name in next(filter(any, rows), [])]
    except csv.Error as error:
        raise UsageError(f"{path} line {rows.line_num}: {error}.", CSV_EXAMPLE) from error
    if missing := [name for name in COLUMNS if name not in header]:
        has = f"its first line is {short(','.join(header), 200)!r}"
        told = f"{path} has no column {' and '.join(missing)}; {has}."
        raise UsageError(told, _renaming(header, missing) or CSV_EXAMPLE)
    if twice := [name for name in COLUMNS if header.count(name) > 1]:
        raise UsageError(f"{path} has the column {' and '.join(twice)} twice.", CSV_EXAMPLE)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason = UNCLOSED if "end of data" in str(error) else error
            yield Malformed(path.name, f"line {line}: {reason}")
            continue
        if not any(row):
            continue
        if len(row) != len(header):
            reason = f"{len(row)} fields where the first line has {len(header)}"
            meant = dict(zip(header, row, strict=False)).get("file_name", "").strip()
            yield Malformed(path.name, f"line {line}: {reason}", meant)
            continue
        yield _entry(path, line, dict(zip(header, row, strict=True)))


def _delimiter(lines: list[str]) -> str:
    """What parts the columns: whichever makes the two that are needed of the first line."""
    first = next((line for line in lines if line.strip()), "")
    for mark in DELIMITERS:
        try:
            header = next(csv.reader([first], delimiter=mark, strict=True), [])
        except csv.Error:
            continue
        if {name.strip() for name in header} >= set(COLUMNS):
            return mark
    return DELIMITERS[0]


def _renaming(found: Iterable[str], missing: list[str]) -> str:
    """Which of the columns to rename; "" where none looks like a missing one."""
    plain = {name.strip().lower().replace(" ", "_"): name for name in reversed(list(found))}
    near = {want: next((plain[each] for each in (want, *ALSO[want]) if each in plain), None)
            for want in missing}  # fmt: skip
    told = [f"{name} to {want}" for want, name in near.items() if name]
    return f"Rename {' and '.join(told)}." if told else ""


def _refuse_other_json(path: Path, text: str) -> None:
    """UsageError for JSON that does not have one object on each line."""
    what, take = None, "."
    try:
        value = json_value(text)
        if isinstance(value, list):
            what, take = f"one JSON array ({len(value)} items)", ".[]"
        elif "\n" in text.strip():
            what = "one JSON object over several lines"
    except JSONDecodeError as error:
        if error.msg == "Extra data" and "\n" in text[: error.pos].strip():
            what = "JSON objects over several lines each"
    except ValueError:
        return
    if what:
        file, new = quote(str(path)), quote(f"{path}.new")
        raise UsageError(
            f"{path} is {what}; .jsonl means one object on each line.",
            f"jq -c '{take}' {file} > {new} && mv {new} {file}",
        )


def _read_jsonl(path: Path, lines: list[str]) -> Iterator[Entry | Malformed]:
    """Raises UsageError when no line has the two keys."""
    found, lacking = 0, None
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            value = json_value(text, strict=False)
        except ValueError as error:
            reason = f"not JSON ({getattr(error, 'msg', error)})"
            yield Malformed(path.name, f"line {line}: {reason}")
            continue
        keys = list(value) if isinstance(value, dict) else []
        if missing := [name for name in COLUMNS if name not in keys]:
            lacking = lacking or (line, keys, missing)
            meant = value.get("file_name") if keys else ""
            reason = f"line {line}: no {' and '.join(missing)}"
            yield Malformed(path.name, reason, meant if isinstance(meant, str) else "")
            continue
        found += 1
        yield _entry(path, line, value)
    if lacking and not found:
        line, keys, missing = lacking
        has = f"; line {line} has {short(', '.join(keys), 200)}" if keys else ""
        told = f"{path} has no column {' and '.join(missing)}{has}."
        raise UsageError(told, _renaming(keys, missing) or JSONL_EXAMPLE)


def _entry(path: Path, line: int, values: dict[str, Any]) -> Entry | Malformed:
    name = values["file_name"]
    try:
        name = _name(name)
        texts = texts_of(values["text"], "text")
        extra = {key: "" if value is None else str(value)
                 for key, value in values.items() if key not in COLUMNS}  # fmt: skip
        "".join([name, *texts, *extra, *extra.values()]).encode()
    except UnicodeEncodeError:
        return Malformed(path.name, f"line {line}: it holds half a character", name)
    except ValueError as error:
        meant = name if isinstance(name, str) else ""
        return Malformed(path.name, f"line {line}: {error}", meant)
    return Entry(line, name, texts, extra)


def _name(value: Any) -> str:
    """ValueError for what is no name of a file."""
    if not isinstance(value, str):
        raise ValueError(f"file_name is {kind_of(value)}, not a string")
    if not value.strip():
        raise ValueError("file_name is empty")
    return value.strip()
