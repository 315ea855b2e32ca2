"""What making the machines emitted, and the Software Carbon Intensity that counts it.

SCI = ((E I) + M) / R (ISO/IEC 21031:2024): operation by the place's grid, and the share M of what
making the machines emitted, for each functional unit R. Never mixed into operational figures.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ...errors import UsageError, closest, short
from ..values import LEAST_UNITS, MOST_UNITS, Spread, within
from .energy import device

CARDS = 8  # of one server, which they share
# Years that machines serve: 4 (Davy 2021), 6 (Luccioni et al. 2023); the longest gives the least.
LIFE = Spread(6.0, 5.0, 4.0)
YEAR_HOURS = 365 * 24.0  # of a year
MOST_KG, MOST_COUNT = 1e9, 1e6
HINT = "--embodied 8xH100, server, or the kg that their maker states"
LONGEST_UNIT = 40


@dataclass(frozen=True)
class Machines:
    """kg: emitted by making all that were reserved. spec: as given."""

    spec: str
    kg: Spread
    origin: str

    def share(self, hours: Spread) -> Spread:
        """kg CO2e of so many hours: M = TE TiR / EL, of machines that nobody else used then."""
        return Spread(*(kg * reserved / (years * YEAR_HOURS) for kg, reserved, years in (
            (self.kg.low, hours.low, LIFE.low),
            (self.kg.expected, hours.expected, LIFE.expected),
            (self.kg.high, hours.high, LIFE.high),
        )))  # fmt: skip

    def to_json(self, hours: Spread) -> dict[str, Any]:
        return {
            "machines": self.spec,
            **self.share(hours).to_json("embodied_kg"),
            **hours.to_json("reserved_hours"),
            **LIFE.to_json("life_years"),
            "origin": self.origin,
        }


@dataclass(frozen=True)
class Work:
    """The functional unit R and how many of it there were."""

    count: float
    name: str

    def intensity(self, kg: float | Spread, embodied: Spread) -> dict[str, Any]:
        """SCI in kg CO2e a unit. kg: of the operation, location-based, PUE included."""
        operation = kg if isinstance(kg, Spread) else Spread.exact(kg)
        each = (operation + embodied) * (1 / self.count)
        return {"unit": self.name, "units": self.count, **each.to_json("sci_kg_per_unit")}


@cache
def _table() -> dict[str, dict[str, str]]:
    text = files("dln.core.carbon.costs").joinpath("embodied.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {card: row for row in rows for card in row["cards"].split()}


def machines(spec: str) -> Machines:
    """ "H100", "8xH100", "server", "2xserver", or kg by their maker. UsageError for others.

    A card comes with an eighth of a server.
    """
    kg = stated_kg(spec)
    if kg is None:
        return _known(spec)
    stated = Spread.exact(within(kg, "--embodied", MOST_KG))
    return Machines(spec, stated, "all machines together, as stated by the user")


def stated_kg(spec: str) -> float | None:
    """The kg that are given in the place of machines; None for machines."""
    try:
        return float(spec)
    except ValueError:
        return None


def _known(spec: str) -> Machines:
    count, name = _counted(spec)
    row, server = _row(name), _table()["server"]
    if row is None:
        near = closest(short(name), _table())
        raise UsageError(f"what making {short(name)!r} emitted is not known.{near}", HINT)
    each, origin = _kg(row), row["source"]
    if row is not server:
        each += _kg(server) * (1 / CARDS)
        origin += f"; an eighth of {server['source']}"
    return Machines(spec, each * count, origin)


def _row(name: str) -> dict[str, str] | None:
    """By the table's name, or by that of the device which drivers print so."""
    if name in _table():
        return _table()[name]
    try:
        return _table().get(device(name).name.lower())
    except UsageError:
        return None


def _counted(spec: str) -> tuple[int, str]:
    """8xH100 -> (8, "h100")."""
    before, times, after = spec.lower().partition("x")
    many = bool(times and after) and before.isdecimal()
    if many and len(before) > len(str(int(MOST_COUNT))):
        raise UsageError(f"--embodied counts at most {MOST_COUNT:,.0f} machines.")
    count, name = (int(before), after) if many else (1, spec.lower())
    within(count, "--embodied's count", MOST_COUNT, least=1)
    return count, name.strip().replace(" ", "-")


def _kg(row: dict[str, str]) -> Spread:
    return Spread(float(row["kg_low"]), float(row["kg"]), float(row["kg_high"]))


def work(text: str, steps: float | None) -> Work:
    """ "24:clip", or "step" for those that the run counted. UsageError for others."""
    count, colon, name = text.partition(":")
    if not colon:
        count, name = "", text
    if not name.isprintable() or not 0 < len(name.strip()) <= LONGEST_UNIT:
        raise UsageError(f"{short(text)!r} names no unit.", "--per 24:clip")
    if colon:
        return Work(_checked(_number(count)), name.strip())
    if name != "step":
        raise UsageError(f"how many of {short(name)!r} there were is not known.", f"--per N:{name}")
    if not steps:
        raise UsageError("how many steps there were is not known.", "--per N:step")
    return Work(_checked(steps), name)


def _checked(count: float) -> float:
    return within(count, "--per's count", MOST_UNITS, least=LEAST_UNITS)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{short(text)!r} is no number of units.", "--per 24:clip") from None
