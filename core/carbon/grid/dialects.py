"""Which columns of a table of intensities count, and what their names say of the numbers.

Known by their headers: Electricity Maps' exports, the British Carbon Intensity API's, WattTime's,
EIA's, ENTSO-E's, and any that names its time and its intensity plainly.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from unicodedata import normalize

from ...errors import UsageError, closest, short
from ..values import Factors, Kind, Signal
from .sheet import Sheet
from .units import UNITS, unit_in, unit_strange

_NO_TIME = re.compile(
    r"time ?zone|offset|estimat|version|updat|creat|publi|issue|duration|number|frequen|percent"
)
_TIME = re.compile(
    r"time|dat[eu]|hour|period|\bmtu\b|interval|utc|^(from|start|to|end)\b|"
    r"zeit|fecha|\bhora|heure|\btid\b|tidspunkt|время|дата"
)
_CLOCK = {"time", "start time", "start", "hour", "hour ending", "hour number", "heure", "heures",
          "uhrzeit", "zeit", "anfang", "von", "hora", "tid", "klokkeslett", "время"}  # fmt: skip
_RATE = re.compile(r"watt\W?hour|(?:/|\bper\b) ?hour")
_LONGEST_CLOCK = len("01:00:00 a.m.")
_DATE = re.compile(r"(data |business )?(date|datum|fecha|dato|дата)")
_BOTH = re.compile(r"(date|datum|fecha|dato|дата)\W.*(time|hour|heure|zeit|hora|tid|время)")
_END = re.compile(r"\b(end|ends|ending|to|bis)\b")
_NO_VALUE = re.compile(
    r"free|renewable|\blow\b|zero|perc|%|^(intensity )?index$|estimat|source|total|demand|price|"
    r"cost|version|level|rating|zone|region|country|factor ?type|method"
)
_VALUE = re.compile(r"co2|carbon|emission|\bci\b|gco2|moer|aoer")
_ZONES = ("zone", "zone id", "zone key", "zone code", "zone name", "zonename", "bidding zone",
          "region", "regionid", "region id", "region code", "region name", "area", "area code",
          "pricearea", "price area", "balancing authority", "balancing authority code", "ba",
          "ba code", "respondent", "country", "country code", "location")  # fmt: skip
# Columns, or texts beside a JSON's records, that tell what all the numbers are.
_UNIT_TOLD = ("units", "unit")
_TYPE_TOLD = ("signal type", "emissionfactortype", "emission factor type")
# What stands in a name for the clocks that are meant.
_CLOCKS = (
    (r"utc|gmt(?!\W?bst)|zulu", "UTC"),
    (r"\bcet\b|\bcest\b", "Europe/Paris"),
    (r"\bbst\b", "Europe/London"),
    (r"\bwet\b|\bwest\b", "Europe/Lisbon"),
    (r"\beet\b|\beest\b", "Europe/Helsinki"),
)
Namer = Callable[[str], bool]
T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Reading:
    """What a file does not say of itself, as the user says it; None: as the file has it.

    fill: steps in a row that may be interpolated. zeros: whether a 0 of average intensity is a
    value and no gap.
    """

    column: str | None = None
    zone: str | None = None
    unit: str | None = None
    signal: Signal | None = None
    factors: Factors | None = None
    timezone: str | None = None
    fill: int = 0
    zeros: bool = False


@dataclass(frozen=True)
class Columns:
    """The places of the columns that count, and what they mean.

    clock: of the column with the time of day, where `time` is a date alone.
    end: of the column with an interval's other end. ends: whether the time is an interval's end.
    unit, clocks: None where the names do not say. clocks is "local" where only that is said. small:
    the unit of numbers without one that are too small for g/kWh.
    """

    time: int
    clock: int | None
    end: int | None
    ends: bool
    value: int
    zone: int | None
    unit: str | None
    small: str | None
    signal: Signal
    factors: Factors
    kind: Kind
    clocks: str | None
    day_first: bool | None


def folded(name: str) -> str:
    """A header's name without case, marks and doubled spaces: "gCO₂_eq" -> "gco2 eq"."""
    return re.sub(r"[\s_.]+", " ", normalize("NFKC", name).casefold()).strip()


def likeness(row: list[str], column: str | None = None) -> int:
    """How much a row looks like the header: 2 with a time and an intensity, 1 with a time."""
    names = [folded(cell) for cell in row]
    if all(_time_rank(name) is None for name in names):
        return 0
    wanted = folded(column) if column else None
    return 2 if any(name == wanted or _value_rank(name) is not None for name in names) else 1


def columns(sheet: Sheet, reading: Reading) -> Columns:
    """UsageError where the header names no time, no intensity, or more than one."""
    names = [folded(name) for name in sheet.header]
    time = _time(names, sheet)
    value = _value(names, sheet, reading)
    name, kinds = names[value], _told(_TYPE_TOLD, names, sheet)
    eia = "consumed electricity" in name or "generated electricity" in name
    watttime = name == "value" and _is_watttime(names) and not kinds
    moer = "moer" in f"{name} {kinds}" or watttime
    clock = _clock(names, time, sheet)
    others = [i for i, each in enumerate(names) if _time_rank(each) is not None and i != time
              and _END.search(each) and not _END.search(names[time])]  # fmt: skip
    forecast = "forecast" in name or sheet.said.get("list") == "forecast"
    return Columns(
        time=time,
        clock=clock,
        end=others[0] if others and clock is None else None,
        ends=bool(_END.search(names[time])) or eia,
        value=value,
        zone=next((names.index(zone) for zone in _ZONES if zone in names), None),
        unit=_unit(value, names, sheet, reading)
        or ("lb/MWh" if moer or "aoer" in f"{name} {kinds}" else None),
        small="lb/kWh" if eia else None,
        signal=_agreed("signal", _signal(f"{name} {kinds}", moer), reading.signal, "average",
                       sheet),
        factors=_agreed("factors", "direct" if moer else _factors(f"{name} {kinds}"),
                        reading.factors, "unknown", sheet),
        kind="forecast" if forecast else "estimated" if moer else "measured",
        clocks=_clocks(names[time]),
        day_first=True if "mtu" in names[time] else False if eia else None,
    )  # fmt: skip


def _told(columns: Iterable[str], names: list[str], sheet: Sheet) -> str:
    """What the first of the columns that is there holds in all rows, or what a JSON says under one
    of these names. UsageError where its rows differ."""
    for column in columns:
        if column in names:
            place = names.index(column)
            cells = {row[place].strip() for _, row in sheet.rows if place < len(row)} - {""}
            if len(cells) > 1:
                some = ", ".join(sorted(short(cell) for cell in cells)[:4])
                raise UsageError(f"{short(sheet.header[place])} of {sheet.path} is not the same in "
                                 f"all rows: {some}.", "a file with one of them")  # fmt: skip
            return folded("".join(cells))
    said = {folded(key): text for key, text in sheet.said.items()}
    return folded(next((said[column] for column in columns if column in said), ""))


def _unit(value: int, names: list[str], sheet: Sheet, reading: Reading) -> str | None:
    """What the file says of that column. UsageError where it is no unit of intensity, and the user
    names none."""
    found = unit_in(names[value])
    if found or reading.unit:
        return found
    told = _told(_UNIT_TOLD, names, sheet)
    strange = sheet.header[value] if unit_strange(names[value]) else told
    found = unit_in(told)
    if strange and not found:
        raise UsageError(f"{sheet.path} names no unit of intensity: {short(strange)!r}.",
                         f"--unit {', '.join(UNITS)}, or another --column")  # fmt: skip
    return found


def _signal(text: str, moer: bool) -> Signal | None:
    if moer or "marginal" in text:
        return "marginal"
    return "average" if "aoer" in text else None


def _time_rank(name: str) -> tuple[bool, bool, bool, int] | None:
    """The lower, the better; None for no time."""
    if _NO_TIME.search(name) or _RATE.search(name) or not _TIME.search(name):
        return None
    rank = 0 if re.search(r"timestamp|date ?time|point time", name) or _BOTH.search(name) else 1
    if name == "hour" or name in _CLOCK:  # a time of day
        rank = 2
    is_local = re.search(r"local|zone|\bdk\b|hourdk", name) is not None
    return "utc" not in name, is_local, _END.search(name) is not None, rank


def _value_rank(name: str) -> int | None:
    if _NO_VALUE.search(name) or _NO_TIME.search(name):
        return None
    if unit_in(name) or "moer" in name:
        return 0
    if "intensity" in name:
        return 1
    return 2 + unit_strange(name) if _VALUE.search(name) else None


def _time(names: list[str], sheet: Sheet) -> int:
    ranks = [(rank, i) for i, name in enumerate(names) if (rank := _time_rank(name)) is not None]
    if not ranks:
        raise _missing(sheet, "no column of times",
                       "name one timestamp_utc, the other gco2_per_kwh")  # fmt: skip
    best = min(ranks)[1]
    first = sheet.rows[0][1] if sheet.rows and _DATE.fullmatch(names[best]) else []
    # Beside a date alone there may be a whole time.
    whole = (i for _, i in sorted(ranks) if i != best and i < len(first)
             and len(first[i].strip()) > _LONGEST_CLOCK)  # fmt: skip
    return next(whole, best)


def _clock(names: list[str], time: int, sheet: Sheet) -> int | None:
    """A file with a column of dates names the time of day in another."""
    if not _DATE.fullmatch(names[time]):
        return None
    first = sheet.rows[0][1] if sheet.rows else []
    return next((i for i, (name, cell) in enumerate(zip(names, first, strict=False))
                 if name in _CLOCK and len(cell.strip()) <= _LONGEST_CLOCK), None)  # fmt: skip


def _value(names: list[str], sheet: Sheet, reading: Reading) -> int:
    if reading.column is not None:
        return _asked(names, sheet, reading.column)
    ranks = {i: rank for i, name in enumerate(names) if (rank := _value_rank(name)) is not None}
    best = [i for i, rank in ranks.items() if rank == min(ranks.values())]
    if not best and _is_watttime(names):
        return names.index("value")
    wanted = "direct" if reading.factors == "direct" else "life-cycle"
    for good in (
        lambda name: _factors(name) == wanted,
        lambda name: "actual" in name,
        lambda name: "consum" in name,
    ):
        best = _narrowed(best, names, good)
    if len(best) == 1:
        return best[0]
    if not best:
        raise _missing(sheet, "no column of intensity", "name it with --column")
    some = ", ".join(repr(short(sheet.header[i])) for i in best[:8])
    raise UsageError(f"{sheet.path} has several intensities: {some}.", "--column NAME")


def _is_watttime(names: list[str]) -> bool:
    """Whose answers call their intensity no more than a value."""
    return "point time" in names and "value" in names


def _narrowed(places: list[int], names: list[str], good: Namer) -> list[int]:
    return [i for i in places if good(names[i])] or places


def _asked(names: list[str], sheet: Sheet, column: str) -> int:
    if column in sheet.header:
        return sheet.header.index(column)
    if folded(column) in names:
        return names.index(folded(column))
    near = closest(column, sheet.header[:20])
    raise _missing(sheet, f"no column {short(column)!r}", near.strip() or "--column NAME")


def _missing(sheet: Sheet, what: str, hint: str) -> UsageError:
    has = short(", ".join(sheet.header[:20]), 200) or "none"
    return UsageError(f"{sheet.path} has {what}.", f"{hint}; its columns are {has}")


def _factors(name: str) -> Factors | None:
    if re.search(r"life ?-?cycle|\blca\b", name):
        return "life-cycle"
    british = name.startswith(("actual", "forecast", "intensity actual", "intensity forecast"))
    if re.search(r"\bdirect\b|operational|moer|aoer|consumed elec|generated elec", name) or british:
        return "direct"
    return None


def _agreed(what: str, said: T | None, asked: T | None, usual: T, sheet: Sheet) -> T:
    """What the file says, else the user. UsageError where they differ."""
    if said and asked and said != asked:
        raise UsageError(
            f"{sheet.path} says itself that its {what} {'are' if what[-1] == 's' else 'is'} "
            f"{said}, not {asked}.",
            f"leave --{what} out, or choose another --column",
        )
    return said or asked or usual


def _clocks(name: str) -> str | None:
    for pattern, zone in _CLOCKS:
        if re.search(pattern, name):
            return zone
    return "local" if re.search(r"local|zone", name) else None
