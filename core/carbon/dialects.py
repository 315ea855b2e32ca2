"""Which columns of a table of intensities count, and what their names say of the numbers.

Known by their headers: Electricity Maps' exports, the British Carbon Intensity API's, WattTime's,
EIA's, ENTSO-E's, and any that names its time and its intensity plainly.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from unicodedata import normalize

from ..errors import UsageError, closest, short
from .sheet import Sheet
from .units import unit_in
from .values import Factors, Kind, Signal

_NO_TIME = re.compile(
    r"time ?zone|offset|estimat|version|updat|creat|publi|issue|duration|number|frequen|percent"
)
_TIME = re.compile(
    r"time|dat[eu]|hour|period|\bmtu\b|interval|utc|^(from|start|to|end)\b|"
    r"zeit|fecha|\bhora|heure|\btid\b|tidspunkt|время|дата"
)
_CLOCK = {"time", "start time", "heure", "heures", "uhrzeit", "zeit", "hora", "tid", "klokkeslett",
          "время"}  # fmt: skip
_END = re.compile(r"\b(end|ends|ending|to|bis)\b")
_NO_VALUE = re.compile(
    r"free|renewable|\blow\b|zero|perc|%|^(intensity )?index$|estimat|source|total|demand|price|"
    r"cost|version|level|rating|zone|region|country|factor ?type|method"
)
_VALUE = re.compile(r"co2|carbon|emission|\bci\b|gco2|moer|aoer")
_ZONES = ("zone", "zone id", "zone key", "zone code", "region", "regionid", "area", "pricearea",
          "balancing authority", "ba", "respondent")  # fmt: skip
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


def plain(name: str) -> str:
    """A header's name without case, marks and doubled spaces: "gCO₂_eq" -> "gco2 eq"."""
    return re.sub(r"[\s_]+", " ", normalize("NFKC", name).casefold()).strip()


def likeness(row: list[str], column: str | None = None) -> int:
    """How much a row looks like the header: 2 with a time and an intensity, 1 with a time."""
    names = [plain(cell) for cell in row]
    if all(_time_rank(name) is None for name in names):
        return 0
    wanted = plain(column) if column else None
    return 2 if any(name == wanted or _value_rank(name) is not None for name in names) else 1


def columns(sheet: Sheet, reading: Reading) -> Columns:
    """UsageError where the header names no time, no intensity, or more than one."""
    names = [plain(name) for name in sheet.header]
    time = _time(names, sheet)
    value = _value(names, sheet, reading)
    name = names[value]
    eia = "consumed electricity" in name or "generated electricity" in name
    moer = "moer" in name or (name == "value" and "point time" in names)
    ends = bool(_END.search(names[time])) or eia
    others = [i for i, each in enumerate(names) if _time_rank(each) is not None and i != time
              and _END.search(each) and not _END.search(names[time])]  # fmt: skip
    return Columns(
        time=time,
        clock=_clock(names, time),
        end=others[0] if others else None,
        ends=ends,
        value=value,
        zone=next((names.index(zone) for zone in _ZONES if zone in names), None),
        unit=unit_in(name) or ("lb/MWh" if moer or "aoer" in name else None),
        small="lb/kWh" if eia else None,
        signal=_agreed("signal", "marginal" if moer or "marginal" in name else None, reading.signal,
                       "average", sheet),
        factors=_agreed("factors", _factors(name, names), reading.factors, "unknown", sheet),
        kind="forecast" if "forecast" in name else "estimated" if moer else "measured",
        clocks=_clocks(names[time]),
        day_first=True if "mtu" in names[time] else False if eia else None,
    )  # fmt: skip


def _time_rank(name: str) -> int | None:
    """The lower, the better; None for no time."""
    if _NO_TIME.search(name) or not _TIME.search(name):
        return None
    rank = 0 if re.search(r"timestamp|date ?time|point time", name) else 1
    if name == "hour" or name in _CLOCK:  # a time of day
        rank = 2
    later = 4 * bool(_END.search(name)) + 8 * bool(re.search(r"local|zone|\bdk\b|hourdk", name))
    return rank + later - 20 * ("utc" in name)


def _value_rank(name: str) -> int | None:
    if _NO_VALUE.search(name) or _NO_TIME.search(name):
        return None
    if unit_in(name) or "moer" in name:
        return 0
    if "intensity" in name:
        return 1
    return 2 if _VALUE.search(name) else None


def _time(names: list[str], sheet: Sheet) -> int:
    ranks = [(rank, i) for i, name in enumerate(names) if (rank := _time_rank(name)) is not None]
    if not ranks:
        raise _missing(sheet, "no column of times",
                       "name one timestamp_utc, the other gco2_per_kwh")  # fmt: skip
    return min(ranks)[1]


def _clock(names: list[str], time: int) -> int | None:
    """A file with a column of dates names the time of day in another."""
    if not re.fullmatch(r"(data |business )?(date|datum|fecha|dato|дата)", names[time]):
        return None
    return next((i for i, name in enumerate(names) if name in _CLOCK), None)


def _value(names: list[str], sheet: Sheet, reading: Reading) -> int:
    if reading.column is not None:
        return _asked(names, sheet, reading.column)
    ranks = {i: rank for i, name in enumerate(names) if (rank := _value_rank(name)) is not None}
    best = [i for i, rank in ranks.items() if rank == min(ranks.values())]
    if not best and "point time" in names and "value" in names:
        return names.index("value")
    wanted = "direct" if reading.factors == "direct" else "life-cycle"
    for good in (
        lambda name: _factors(name, names) == wanted,
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


def _narrowed(places: list[int], names: list[str], good: Namer) -> list[int]:
    return [i for i in places if good(names[i])] or places


def _asked(names: list[str], sheet: Sheet, column: str) -> int:
    if column in sheet.header:
        return sheet.header.index(column)
    if plain(column) in names:
        return names.index(plain(column))
    near = closest(column, sheet.header[:20])
    raise _missing(sheet, f"no column {short(column)!r}", near.strip() or "--column NAME")


def _missing(sheet: Sheet, what: str, hint: str) -> UsageError:
    has = short(", ".join(sheet.header[:20]), 200) or "none"
    return UsageError(f"{sheet.path} has {what}.", f"{hint}; its columns are {has}")


def _factors(name: str, names: Iterable[str]) -> Factors | None:
    if re.search(r"life ?-?cycle|\blca\b", name):
        return "life-cycle"
    british = name.startswith(("actual", "forecast", "intensity actual", "intensity forecast"))
    if re.search(r"\bdirect\b|operational|moer|aoer|consumed elec|generated elec", name) or british:
        return "direct"
    return "direct" if name == "value" and "point time" in names else None


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
