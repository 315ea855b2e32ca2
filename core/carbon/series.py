"""Reading intensity in time from a user's CSV, and durations such as 8h.

What is wrong with a file is said in one sentence: a plan made on holes, doubled hours or tonnes
would look as sound as any other.
"""

import csv
import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ..errors import UsageError, closest
from .values import Factors, Label, Series, Signal, iso

TIME, VALUE = "timestamp_utc", "gco2_per_kwh"
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_LEAST, _MOST = 5.0, 5000.0  # g/kWh that a grid's median can be; else the unit is another


def parse_duration(text: str) -> timedelta:
    """8h, 90min, 1.5d, 2h30min. UsageError for anything else and for nothing at all."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhd])", text.strip())
    if not parts or "".join(n + u for n, u in parts) != re.sub(r"\s", "", text):
        raise UsageError(f"{text!r} is not a duration.", "write it as 8h, 90min or 2d")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


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
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            times, values = _columns(file, path, column, zone)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
    step = _step(times, path)
    _check_values(values, path, column)
    years = sorted({times[0].year, times[-1].year})
    label = Label(signal, factors, "-".join(map(str, years)), f"csv: {path.name}", "measured")
    return Series(times[0], step, values, label)


def _columns(
    file: Iterator[str], path: Path, column: str, zone: str | None
) -> tuple[list[datetime], np.ndarray]:
    reader = csv.reader(file)
    header = next(reader, [])
    for name in (TIME, column, *(["zone"] if zone else [])):
        if name not in header:
            raise UsageError(
                f"{path} has no column {name!r}.{closest(name, header)}",
                f"its columns are {', '.join(header) or 'none'}; {TIME},{VALUE} are expected",
            )
    at, value, place = (header.index(n) if n in header else -1 for n in (TIME, column, "zone"))
    rows = [(number, row) for number, row in enumerate(reader, 2) if row]
    zones = {row[place] for _, row in rows if len(row) == len(header)} if place >= 0 else set()
    if zone is None and len(zones) > 1:
        raise UsageError(f"{path} holds several zones", f"--zone {', '.join(sorted(zones)[:8])}")
    if zone is not None:
        rows = [(number, row) for number, row in rows if row[place] == zone]
    if len(rows) < 2:
        near = closest(zone, zones) if zone else ""
        raise UsageError(f"{path} has fewer than two rows{f' for {zone}.{near}' if zone else ''}")
    times = [_time(row, at, number, path) for number, row in rows]
    return times, np.array([_value(row, value, number, path) for number, row in rows])


def _time(row: list[str], at: int, number: int, path: Path) -> datetime:
    try:
        moment = datetime.fromisoformat(row[at])
    except (ValueError, IndexError) as error:
        found = row[at] if at < len(row) else "nothing"
        hint = "ISO 8601 in UTC, as 2024-06-01T18:00Z"
        raise UsageError(f"line {number} of {path}: {found!r} is not a time", hint) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _value(row: list[str], at: int, number: int, path: Path) -> float:
    try:
        return float(row[at])
    except (ValueError, IndexError) as error:
        found = row[at] if at < len(row) else ""
        raise UsageError(
            f"line {number} of {path}: {found!r} is not a number",
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
