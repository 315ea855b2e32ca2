"""Grams for each kWh out of what a column says: its unit, its way of writing numbers."""

import re
from collections.abc import Sequence
from math import isfinite

from ...errors import UsageError, closest, short
from ..values import LB_PER_MWH

UNITS = {
    "g/kWh": 1.0,
    "kg/MWh": 1.0,
    "kg/kWh": 1000.0,
    "t/MWh": 1000.0,
    "mg/kWh": 1e-3,
    "g/MWh": 1e-3,
    "lb/MWh": LB_PER_MWH,
    "lb/kWh": 1000 * LB_PER_MWH,
}
_MASSES = {"gram": "g", "grams": "g", "tonne": "t", "tonnes": "t", "metric ton": "t",
           "metric tons": "t", "lbs": "lb", "pound": "lb", "pounds": "lb"}  # fmt: skip
_UNIT = re.compile(
    r"(?:^|[^a-z0-9])(mg|grams?|kg|g|tonnes?|metric tons?|t|lbs?|pounds?)\W*(?:of\W+)?"
    r"(?:co2\W*(?:eq?|equivalents?)?)?\W*(?:/|per|pro)?\W*(k|m)(?:wh|(?:ilo|ega)watt\W?hours?)e?\b"
)
# A mass alone, or for each of something else: kg, t/h, lb per MMBtu; a share, a price, a power.
# Grams alone are left out: who writes co2_g means g/kWh.
_OTHER = re.compile(
    r"(?:^|[^a-z0-9])(?:(?:kg|k?t|mt|mth|(?:short |metric )?ton(?:ne)?s?|lbs?|pounds?)\W*"
    r"(?:co2\W*(?:eq?)?\W*)?(?:(?:/|per\b)\W*\w+)?|(?:g|mg)\W*(?:co2\W*(?:eq?)?\W*)?"
    r"(?:/|per\b)\W*\w+)\W*$|%|\bperc|\b(?:eur|usd|gbp)\b|[€$£]|\b(?:[kmg]w|[gt]wh)\b"
)
NOTHING = {"", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "n/e", "nil", "."}


def unit_in(name: str) -> str | None:
    """The unit that a column's plain name holds: "co2 intensity (gco2eq/kwh)" -> "g/kWh"."""
    found = _UNIT.search(name)
    if not found:
        return None
    mass, energy = found.groups()
    unit = f"{_MASSES.get(mass, mass)}/{'kWh' if energy == 'k' else 'MWh'}"
    return unit if unit in UNITS else None


def unit_strange(name: str) -> bool:
    """Whether a column's plain name holds a unit, but none of intensity: "co2 (t)", "g/mj"."""
    return unit_in(name) is None and _OTHER.search(name) is not None


def unit_named(text: str) -> str:
    """The unit that a user means. UsageError for another."""
    asked = text.strip().lower()
    known = {unit.lower(): unit for unit in UNITS}
    unit = known.get(asked) or unit_in(asked)
    if unit is None:
        raise UsageError(f"{short(text)!r} is no unit of intensity.{closest(asked, UNITS)}",
                         f"--unit {', '.join(UNITS)}")  # fmt: skip
    return unit


def decimal_comma(cells: Sequence[str], delimiter: str) -> bool:
    """Whether the numbers of a column have a decimal comma: 90,82 or 1.090,82. Where every comma
    stands before three digits (1,090), they are thousands in a file that commas divide."""
    commas = [cell for cell in cells if "," in cell]
    both = next((cell for cell in commas if "." in cell), None)
    if both is not None:
        return both.rindex(",") > both.rindex(".")
    if any(not re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+", cell.strip()) for cell in commas):
        return True
    return bool(commas) and delimiter != ","


def number(cell: str, comma: bool) -> float | None:
    """The number in a cell, None for an empty one. ValueError for what is none."""
    text = cell.strip()
    if text.isdigit() or (not comma and text.replace(".", "", 1).isdigit()):
        return float(text)  # most of them, without the rest
    if text.lower() in NOTHING:
        return None
    for space in (" ", "\u00a0", "\u202f", "'"):
        text = text.replace(space, "")
    text = text.replace(".", "").replace(",", ".") if comma else text.replace(",", "")
    value = float(text)
    if not isfinite(value) or "_" in text:
        raise ValueError(cell)
    return value
