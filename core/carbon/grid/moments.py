"""Times as people write them, in UTC: ISO, seconds since 1970, 20/10/2023 02:00, a span of two;
and durations such as 8h."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from statistics import median_low

from ...errors import UsageError, closest, short
from ..values import HOUR, YEARS

LONGEST = timedelta(days=3653)  # that a duration can be
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_EPOCH = re.compile(r"\d{10}(?:\.\d+)?|\d{13}")
_OFFSETS = {"UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2,
            "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7,
            "MDT": -6, "PST": -8, "PDT": -7}  # fmt: skip
_SPAN = re.compile(r"\s+[-\u2013]\s+|(?<=\d)/(?=\d{4}-)|(?<=Z)/")
_NAMED = re.compile(r"^(.*\d[^()]*?)\s*\(?\b([A-Z]{1,4})\)?$")
_CLOCK = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([ap]\.?m\.?)?)?"
_DAY_OR_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})" + _CLOCK, re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})" + _CLOCK, re.IGNORECASE)

# Days of a month whose Sunday changes the clocks: of Europe and North America, of the south.
_FORWARD = {3: ((8, 14), (25, 31)), 4: ((1, 7),), 9: ((2, 8), (24, 30)), 10: ((1, 7),)}
_BACK = {4: ((1, 8),), 10: ((25, 31),), 11: ((1, 7),)}


def parse_duration(text: str) -> timedelta:
    """8h, 90min, 1.5d, 2h30min. UsageError for anything else, for nothing at all and for more than
    ten years."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhd])", text.strip())
    if not parts or "".join(n + u for n, u in parts) != re.sub(r"\s", "", text):
        raise UsageError(f"{short(text)!r} is not a duration.", "write it as 8h, 90min or 2d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise UsageError(f"{short(text)!r} is longer than ten years.", "write it as 8h or 2d")
    return timedelta(seconds=seconds)


@dataclass(frozen=True)
class Stamp:
    """When an interval starts, or ends, and its other end, where the cell says both. Without a
    zone where it names none."""

    time: datetime
    end: datetime | None = None


def stamp(cell: str, day_first: bool | None) -> Stamp:
    """What a cell says. ValueError for what is no time, or not within YEARS."""
    text = cell.strip()
    parts = _SPAN.split(text) if len(text) > 25 else [text]  # the longest time has 25
    if len(parts) > 2:
        raise ValueError(f"{short(cell)!r} is not a time")
    times = [_moment(part.strip(), day_first) for part in parts]
    for time in times:
        if time.year not in YEARS:
            raise ValueError(f"{short(cell)!r} is not within the years {YEARS[0]} to {YEARS[-1]}")
    return Stamp(*times)


def _moment(text: str, day_first: bool | None) -> datetime:
    if _EPOCH.fullmatch(text):
        seconds = float(text) / (1000 if len(text) == 13 else 1)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    try:
        return datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError:
        pass
    named = _NAMED.match(text) if text[-1:].isalpha() or text[-1:] == ")" else None
    if named and named[2] in _OFFSETS:
        zone = timezone(timedelta(hours=_OFFSETS[named[2]]))
        return _moment(named[1].strip(), day_first).replace(tzinfo=zone)
    return _written(text, day_first)


def _written(text: str, day_first: bool | None) -> datetime:
    wrong = ValueError(f"{short(text)!r} is not a time")
    if found := _YEAR_FIRST.fullmatch(text):
        year, _, month, day, *clock = found.groups()
    elif found := _DAY_OR_MONTH.fullmatch(text):
        one, mark, two, year, *clock = found.groups()
        first = True if mark == "." else day_first
        day, month = (one, two) if first else (two, one)
    else:
        raise wrong
    hour, minute, second, half = clock
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + 12 * (half[0].lower() == "p")
    try:
        return datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0))
    except ValueError:
        raise wrong from None


def day_first(cells: Sequence[str], told: bool | None) -> bool | None:
    """Whether 01/02/2023 is the first of February in this column: because another date can be
    read so only, because the dates follow each other so, or because the format is known (`told`).
    None where there is no such date. ValueError where both ways are possible."""
    found = [match for cell in cells if (match := _DAY_OR_MONTH.match(cell.strip()))
             and match[2] != "."]  # fmt: skip
    if not found:
        return told
    pairs = dict.fromkeys((int(match[1]), int(match[3]), int(match[4])) for match in found)
    if any(one > 12 for one, _, _ in pairs):
        return True
    if any(two > 12 for _, two, _ in pairs):
        return False
    if told is not None or all(one == two for one, two, _ in pairs):
        return True if told is None else told
    near = [_apart([(year, *((two, one) if first else (one, two))) for one, two, year in pairs])
            for first in (True, False)]  # fmt: skip
    if near[0] == near[1]:
        date = next(match[0].split()[0] for match in found if int(match[1]) != int(match[3]))
        raise ValueError(f"{date!r} may have the day first or the month")
    return near[0] < near[1]


def _apart(dates: list[tuple[int, int, int]]) -> float:
    """The usual number of days between two dates (year, month, day) that follow each other."""
    days = [datetime(*date).toordinal() for date in dates]
    return median_low([abs(b - a) for a, b in pairwise(days)]) if len(days) > 1 else 0


def zone_named(text: str) -> tzinfo:
    """Europe/Madrid, UTC or +02:00. UsageError for no zone."""
    from zoneinfo import ZoneInfo, available_timezones

    if text.upper() in ("UTC", "GMT", "Z"):
        return UTC
    fixed = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", text)
    if fixed and int(fixed[2]) < 15:
        ahead = timedelta(hours=int(fixed[2]), minutes=int(fixed[3] or 0))
        return timezone(ahead if fixed[1] == "+" else -ahead)
    known = {name.lower(): name for name in available_timezones()}
    try:
        return ZoneInfo(known[text.lower()])
    except (LookupError, ValueError, OSError):
        told = f"{short(text)!r} is no time zone.{closest(text, known)}"
        raise UsageError(told, "--timezone Europe/Madrid, UTC or +02:00") from None


def in_utc(times: Sequence[datetime], zone: tzinfo) -> list[datetime | None]:
    """Times of the zone's clocks, the oldest first, in UTC: of an hour that comes twice the first
    is the first. None for a time that the clocks skip."""
    found: list[datetime | None] = []
    seen: set[datetime] = set()
    for time in times:
        moment = time.replace(tzinfo=zone, fold=int(time in seen)).astimezone(UTC)
        skipped = moment.astimezone(zone).replace(tzinfo=None) != time
        found.append(None if skipped else moment)
        seen.add(time)
    return found


def clocks_changed(times: Sequence[datetime], step: timedelta) -> datetime | None:
    """The first of the naive times, the oldest first, at which an hour comes twice or is missing on
    a night in which clocks somewhere change so."""
    for one, two in pairwise(times):
        more = two - one - step
        if not more or (two != one and abs(more) != HOUR):
            continue
        night = two if two.hour < 5 else one
        if night.weekday() == 6 and night.hour < 5 and _changes(night, forward=more > timedelta()):
            return two
    return None


def _changes(night: datetime, forward: bool) -> bool:
    """Whether clocks somewhere go forward, or back, on that Sunday."""
    weeks = _FORWARD if forward else _BACK
    return any(first <= night.day <= last for first, last in weeks.get(night.month, ()))
