"""Reading intensity in time from a user's CSV, and durations such as 8h.

What is wrong with a file is said in one sentence: a plan made on holes, doubled hours or tonnes
would look as sound as any other.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path

import numpy as np

from ..door import read_bytes
from ..errors import UsageError, closest, short
from .values import Factors, Label, Series, Signal, iso, parse_time

TIME, VALUE = "timestamp_utc", "gco2_per_kwh"
MOST_BYTES = 128 << 20  # of a file, unpacked
MOST_ROWS = 2_000_000  # nineteen years of five minutes
LONGEST = timedelta(days=3653)  # that a duration can be
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_LEAST, _MOST = 5.0, 5000.0  # g/kWh that a grid's median can be; else the unit is another
Row = tuple[int, list[str]]  # its number in the file


def parse_duration(text: str) -> timedelta:
    """8h, 90min, 1.5d, 2h30min. UsageError for anything else, for nothing at all and for more than
    ten years."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhd])", text.strip())
    if not parts or "".join(n + u for n, u in parts) != re.sub(r"\s", "", text):
        raise UsageError(f"{short(text)!r} is not a duration.", "write it as 8h, 90min or 2d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise UsageError(f"{short(text)!r} is longer than ten years.", "write it as 8h or 2d")
    return timedelta(seconds=seconds)


def read_csv(
    path: Path | str,
    column: str = VALUE,
    zone: str | None = None,
    signal: Signal = "average",
    factors: Factors = "unknown",
) -> Series:
    """The series in a CSV (or .csv.gz) with the columns timestamp_utc, `column` and, where the
    file holds several zones, zone. UsageError says what is wrong with it."""
    path = Path(path)
    try:
        times, values = _columns(StringIO(_text(path), newline=""), path, column, zone)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
    step = _step(times, path)
    _check_values(values, path, column)
    years = sorted({times[0].year, times[-1].year})
    label = Label(signal, factors, "-".join(map(str, years)), f"csv: {path.name}", "measured")
    return Series(times[0], step, values, label)


def _text(path: Path) -> str:
    """UsageError for what is no file of at most MOST_BYTES, UnicodeDecodeError for no UTF-8."""
    found = read_bytes(path, MOST_BYTES)
    return (_unpacked(found, path) if path.suffix == ".gz" else found).decode("utf-8-sig")


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


def _columns(
    file: Iterable[str], path: Path, column: str, zone: str | None
) -> tuple[list[datetime], np.ndarray]:
    reader = csv.reader(file)
    header = next(reader, [])
    for name in (TIME, column, *(["zone"] if zone else [])):
        if name not in header:
            has = short(", ".join(header[:20]), 200) or "none"
            raise UsageError(
                f"{path} has no column {short(name)!r}.{closest(name, header[:20])}",
                f"its columns are {has}; {TIME},{VALUE} are expected",
            )
    at, value = header.index(TIME), header.index(column)
    rows = [(number, row) for number, row in enumerate(islice(reader, MOST_ROWS + 1), 2) if row]
    if len(rows) > MOST_ROWS or next(reader, None) is not None:
        raise UsageError(f"{path} has more than {MOST_ROWS:,} rows", "cut out the years that count")
    if "zone" in header:
        rows = _of_zone(rows, header, path, zone)
    if len(rows) < 2:
        raise UsageError(f"{path} has fewer than two rows{f' for {zone}' if zone else ''}")
    times = [_time(row, at, number, path) for number, row in rows]
    return times, np.array([_value(row, value, number, path) for number, row in rows])


def _of_zone(rows: list[Row], header: list[str], path: Path, zone: str | None) -> list[Row]:
    """The rows of that zone; of all, where there is one alone."""
    place = header.index("zone")
    zones = {row[place] for _, row in rows if len(row) == len(header)}
    some = [short(name) for name in sorted(zones)[:200]]
    if zone is None and len(zones) > 1:
        raise UsageError(f"{path} holds several zones", f"--zone {', '.join(some[:8])}")
    if zone is None:
        return rows
    if zone not in zones:
        near = closest(zone, some)
        raise UsageError(f"{path} has fewer than two rows for {short(zone)}.{near}")
    return [(number, row) for number, row in rows if row[place : place + 1] == [zone]]


def _time(row: list[str], at: int, number: int, path: Path) -> datetime:
    try:
        return parse_time(row[at] if at < len(row) else "")
    except ValueError as error:
        hint = "ISO 8601 in UTC, as 2024-06-01T18:00Z"
        raise UsageError(f"line {number} of {path}: {error}", hint) from error


def _value(row: list[str], at: int, number: int, path: Path) -> float:
    found = row[at] if at < len(row) else ""
    try:
        return float(found)
    except ValueError as error:
        raise UsageError(
            f"line {number} of {path}: {short(found)!r} is not a number",
            "fill the gap or cut the file there: a plan needs every interval",
        ) from error


def _step(times: list[datetime], path: Path) -> timedelta:
    """The constant distance of the times."""
    seconds = np.array([t.timestamp() for t in times])
    apart = np.diff(seconds)
    step = float(np.median(apart))
    wrong = np.flatnonzero(apart != step)
    if step > 0 and not len(wrong):
        return timedelta(seconds=step)
    first = int(wrong[0]) if len(wrong) else 0
    where = iso(times[first + 1])
    if apart[first] == 0:
        what = f"{path} has {where} twice"
    elif apart[first] < 0:
        what = f"the times of {path} go back at {where}"
    else:
        what = f"{path} has a gap before {where}"
    raise UsageError(
        what, "every interval once, in UTC: local times double and skip hours twice a year"
    )


def _check_values(values: np.ndarray, path: Path, column: str) -> None:
    if not np.isfinite(values).all():
        raise UsageError(f"{path} has values in {column} that are not finite")
    if (values < 0).any():
        raise UsageError(
            f"{path} has negative values in {column}", "an intensity in g/kWh is at least 0"
        )
    middle = float(np.median(values))
    if not _LEAST <= middle <= _MOST:
        guess = "kg or t" if middle < _LEAST else "mg, or for each MWh"
        raise UsageError(
            f"{column} of {path} is about {middle:.3g}, which is not g/kWh ({guess}?)",
            "convert it to grams of CO2e for each kWh",
        )
