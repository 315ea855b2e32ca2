"""A stranger's table as rows of text: whatever way a spreadsheet or a service wrote it.

UTF-8, UTF-16 or an old Windows' letters; commas, semicolons, tabs or bars; remarks above the
header, blank lines, gzip. A JSON list of flat records is a table too.
"""

import codecs
import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from ...door import json_value, read_bytes
from ...errors import UsageError, short

MOST_BYTES = 128 << 20  # of a file, unpacked
MOST_ROWS = 2_000_000  # nineteen years of five minutes
DELIMITERS = ",;\t|"
_ABOVE = 60  # lines in which the header is looked for
_ALIEN = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}
Row = tuple[int, list[str]]  # its number in the file


@dataclass(frozen=True)
class Sheet:
    """header: its names, stripped. rows: those below it that hold something. above: the rows that
    stand before the header. word: what the number of a row counts. said: what a JSON answer says
    of all its records beside them, and as "list" the name that these have."""

    path: Path
    header: list[str]
    rows: list[Row]
    above: list[list[str]]
    delimiter: str = ","
    word: str = "line"
    said: Mapping[str, str] = field(default_factory=dict)

    def place(self, number: int) -> str:
        """ "line 3 of grid.csv" """
        return f"{self.word} {number} of {self.path}"


def cell_of(row: Sequence[str], at: int) -> str:
    """Stripped; nothing where the row is too short."""
    return row[at].strip() if at < len(row) else ""


def read_sheet(path: Path, score: Callable[[list[str]], int]) -> Sheet:
    """The table of a file. score: how much a row looks like the header that is looked for; the
    first of the highest, above 0, is it, else the first row.

    UsageError for what is no table, has no second row, or has more than MOST_ROWS.
    """
    found = read_bytes(path, MOST_BYTES)
    packed = path.suffix == ".gz" or found.startswith(b"\x1f\x8b")
    text = _text(_unpacked(found, path) if packed else found, path)
    if text.lstrip()[:1] in ("{", "["):
        return _records(text, path)
    if text.lstrip()[:1] == "<":
        raise UsageError(f"{path} is a web page or XML, not CSV.", "save the data as CSV")
    try:
        return _table(text, path, score)
    except csv.Error as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}.") from error


def _unpacked(packed: bytes, path: Path) -> bytes:
    try:
        with gzip.open(BytesIO(packed)) as file:
            found = file.read(MOST_BYTES + 1)
    except EOFError as error:
        raise UsageError(f"{path} is cut off.", "copy it again") from error
    except (OSError, zlib.error) as error:
        raise UsageError(
            f"{path} is no gzip file, or damaged: {error}.", "copy it again"
        ) from error
    if len(found) > MOST_BYTES:
        raise UsageError(f"{path} holds more than {MOST_BYTES:,} bytes, unpacked.")
    return found


def _text(found: bytes, path: Path) -> str:
    """Names may hold any letters; figures and times are the same in all of these encodings."""
    for mark, what in _ALIEN.items():
        if found.startswith(mark):
            raise UsageError(f"{path} is {what}, not CSV.", "save the sheet as CSV")
    try:
        return found.decode(_wide(found) or "utf-8-sig")
    except UnicodeDecodeError as error:
        if _wide(found):
            raise UsageError(f"{path} is damaged: it is no whole UTF-16 text.") from error
        return found.decode("latin-1")


def _wide(found: bytes) -> str | None:
    """The UTF-16 that it is, by its mark or, without one, by the zeros of its first letters, most
    of which are figures and Latin ones."""
    if found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = found[:4096]
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) > len(zeros) / 2:
            return name
    return None


def _table(text: str, path: Path, score: Callable[[list[str]], int]) -> Sheet:
    delimiter, at = _header(text, score)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    above = [row for _, row in zip(range(at), reader, strict=False)]
    header = [cell.strip().lstrip("\ufeff") for cell in next(reader, [])]
    rows = list(islice(_filled(reader), MOST_ROWS + 1))
    _check_count(len(rows), path)
    return Sheet(path, header, rows, above, delimiter)


def _header(text: str, score: Callable[[list[str]], int]) -> tuple[str, int]:
    """The delimiter, and the number of rows above the header."""
    best = 0, ",", 0
    first: tuple[str, int] | None = None
    for delimiter in (mark for mark in DELIMITERS if mark in text[:100_000]):
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        for at, row in enumerate(islice(reader, _ABOVE)):
            if _blank(row):
                continue
            if len(row) > 1 and first is None:
                first = delimiter, at
            if len(row) > 1 and score(row) > best[0]:
                best = score(row), delimiter, at
    return best[1:] if best[0] else first or (",", 0)


def _blank(row: list[str]) -> bool:
    """Nothing, or a remark."""
    return not any(map(str.strip, row)) or row[0].lstrip().startswith(("#", "//"))


def _filled(reader: Any) -> Iterator[Row]:
    for row in reader:
        if not _blank(row):
            yield reader.line_num, row


def _check_count(count: int, path: Path) -> None:
    if count > MOST_ROWS:
        raise UsageError(f"{path} has more than {MOST_ROWS:,} rows", "cut out the years that count")


def _records(text: str, path: Path) -> Sheet:
    """The list of records in a JSON answer, as services send them. UsageError for another."""
    try:
        value = json_value(text)
    except ValueError as error:
        raise UsageError(f"{path} is neither CSV nor sound JSON: {short(str(error))}.") from error
    name, rows, said = _listed(value)
    records = [_flat(each) for each in rows if isinstance(each, dict)]
    if not records:
        raise UsageError(f"{path} is JSON without a list of records, not CSV.", "save it as CSV")
    _check_count(len(records), path)
    header = list(records[0])
    cells = [(number, [each.get(name, "") for name in header])
             for number, each in enumerate(records, 1)]  # fmt: skip
    return Sheet(path, header, cells, [], word="entry", said={**said, "list": name})


def _listed(value: Any, name: str = "", depth: int = 4) -> tuple[str, list[Any], dict[str, str]]:
    """The first list that holds something, its name, and the texts that stand beside it, "meta"
    included: {"meta": {"units": "g"}, "data": [...]}. Services wrap it in one object or more."""
    if isinstance(value, list):
        return name, value, {}
    if not isinstance(value, dict) or not depth:
        return name, [], {}
    found = (_listed(item, key, depth - 1) for key, item in value.items())
    key, rows, said = next((each for each in found if each[1]), (name, [], {}))
    meta = value.get("meta")
    beside = {**value, **(meta if isinstance(meta, dict) else {})}
    return key, rows, {k: v for k, v in beside.items() if isinstance(v, str)} | said


def _flat(record: dict[str, Any]) -> dict[str, str]:
    """{"a": {"b": 1}} -> {"a b": "1"}; lists are left out."""
    found: dict[str, str] = {}
    for name, value in record.items():
        parts = value if isinstance(value, dict) else {"": value}
        for part, item in parts.items():
            if not isinstance(item, dict | list):
                found[f"{name} {part}".strip()] = "" if item is None else str(item)
    return found
