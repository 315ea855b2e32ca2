"""The times of a table's rows: when each one's interval starts, in UTC, and how long it is."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ...errors import UsageError, short
from ..values import YEARS
from .dialects import Columns
from .moments import Stamp, clocks_changed, day_first, in_utc, stamp, zone_named
from .sheet import Sheet, cell_of

_LAST = timedelta(minutes=1)  # of an interval whose end names it
_HINT = "ISO 8601 in UTC, as 2024-06-01T18:00Z"


@dataclass(frozen=True)
class Timeline:
    """starts: of each row's interval in UTC, None where its clocks skip that time. assumed: UTC is
    not said anywhere."""

    starts: list[datetime | None]
    step: timedelta
    assumed: bool


def timeline(sheet: Sheet, found: Columns, zone: str | None) -> Timeline:
    """zone: of the clocks, as the user says it. UsageError for what is no time, is a local time of
    no known place, or may be one of two dates."""
    if zone is not None:
        zone_named(zone)  # though every time may name its own
    stamps = _stamps(sheet, found)
    naive = [each.time.tzinfo is None for each in stamps]
    clocks = zone or _clocks(sheet, found)
    if any(naive) and not all(naive):
        raise UsageError(f"{sheet.place(sheet.rows[naive.index(True)][0])}: its time names no "
                         "zone, though others do.", "write every time with its zone")  # fmt: skip
    times = _local(stamps, clocks, sheet) if any(naive) else _zoned(stamps)
    step = _step(stamps, times, sheet)
    if any(naive) and zone is None and clocks in (None, "UTC"):
        _refuse_local(sheet, stamps, step)
    ends = found.ends and not any(each.end for each in stamps)
    starts = [time and (time - step if ends else time) for time in times]
    _check_years(sheet, starts)
    return Timeline(starts, step, all(naive) and clocks is None)


def _stamps(sheet: Sheet, found: Columns) -> list[Stamp]:
    cells = [cell_of(row, found.time) for _, row in sheet.rows]
    if found.clock is not None:
        clocks = _hours([cell_of(row, found.clock) for _, row in sheet.rows])
        cells = [f"{date} {clock}" for date, clock in zip(cells, clocks, strict=True)]
    others = [cell_of(row, found.end) if found.end is not None else "" for _, row in sheet.rows]
    try:
        first = day_first(cells, found.day_first)
    except ValueError as error:
        raise UsageError(f"the times of {sheet.path} are in doubt: {error}.",
                         f"write them as {_HINT}") from error  # fmt: skip
    stamps: list[Stamp] = []
    for (number, _), cell, other in zip(sheet.rows, cells, others, strict=True):
        try:
            each = stamp(cell, first)
            stamps.append(Stamp(each.time, stamp(other, first).time) if other else each)
        except OverflowError:
            raise UsageError(f"{sheet.place(number)}: {short(cell)!r} is not a time.") from None
        except ValueError as error:
            raise UsageError(f"{sheet.place(number)}: {error}.", _HINT) from error
    return stamps


def _hours(clocks: list[str]) -> list[str]:
    """Hours by their number as times of day: 0 to 23, or 1 to 24, of which each is the one that
    ends then."""
    if not all(re.fullmatch(r"\d{1,2}", clock) for clock in clocks):
        return clocks
    numbers = [int(clock) for clock in clocks]
    return [f"{number - (max(numbers) == 24):02}:00" for number in numbers]


def _clocks(sheet: Sheet, found: Columns) -> str | None:
    """Whose clocks the header means; "local" too where the lines above it name an offset."""
    above = " ".join(cell for row in sheet.above for cell in row).casefold()
    apart = "timezone" in above or "utc_offset" in above
    return "local" if apart and found.clocks is None else found.clocks


def _zoned(stamps: Sequence[Stamp]) -> list[datetime | None]:
    return [each.time.astimezone(UTC) for each in stamps]


def _local(stamps: Sequence[Stamp], clocks: str | None, sheet: Sheet) -> list[datetime | None]:
    if clocks == "local":
        raise UsageError(f"the times of {sheet.path} are local, and it does not say where.",
                         "--timezone Europe/Madrid")  # fmt: skip
    order = _order(stamps)
    return in_utc([each.time for each in stamps][::order], zone_named(clocks or "UTC"))[::order]


def _order(stamps: Sequence[Stamp]) -> int:
    """-1 for a file whose newest row stands first."""
    back = sum(b.time < a.time for a, b in pairwise(stamps))
    return -1 if back > len(stamps) / 2 else 1


def _refuse_local(sheet: Sheet, stamps: Sequence[Stamp], step: timedelta) -> None:
    changed = clocks_changed([each.time for each in stamps][:: _order(stamps)], step)
    if changed:
        raise UsageError(
            f"the times of {sheet.path} are local: around {changed:%Y-%m-%d %H:%M} the clocks "
            "change, and no time says its zone.",
            "--timezone Europe/Madrid, or --timezone UTC where they are",
        )


def _step(stamps: Sequence[Stamp], times: Sequence[datetime | None], sheet: Sheet) -> timedelta:
    """The length of an interval: what the rows say, else the usual distance of two times. Rows that
    end at 0:59 or 0:59:59 mean the whole hour."""
    known = sorted({time for time in times if time})
    usual = _usual([two - one for one, two in pairwise(known)])
    said = _usual([each.end - each.time for each in stamps if _whole(each) and each.end])
    step = said or usual
    if step is None:
        raise UsageError(f"{sheet.path} has one time alone: its rows all tell of it.")
    return usual if usual and step < usual <= step + _LAST else step


def _usual(apart: Sequence[timedelta]) -> timedelta | None:
    """The most frequent, of several the shortest."""
    counts = Counter(apart)
    return min(counts, key=lambda each: (-counts[each], each), default=None)


def _whole(each: Stamp) -> bool:
    """Whether it tells an interval's length."""
    if each.end is None or (each.time.tzinfo is None) != (each.end.tzinfo is None):
        return False
    return each.end > each.time


def _check_years(sheet: Sheet, starts: Sequence[datetime | None]) -> None:
    for (number, _), start in zip(sheet.rows, starts, strict=True):
        if start is not None and start.year not in YEARS:
            raise UsageError(f"{sheet.place(number)}: its time is not within the years {YEARS[0]} "
                             f"to {YEARS[-1]}.")  # fmt: skip
