"""Amounts as people read them: 0.84 mg, 12 g, 7.5 kg, 37.3 kWh. JSON has kg and kWh."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..values import Spread

# Names, sizes, and from how much on each is used, the largest first.
Scale = Sequence[tuple[str, float, float]]

# A thousandth of a milligram is one still; what is less is a step's or a clip's.
MASSES: Scale = (("t", 1e3, 1e3), ("kg", 1.0, 1.0), ("g", 1e-3, 1e-3), ("mg", 1e-6, 1e-9),
                 ("ng", 1e-12, 0.0))  # fmt: skip
ENERGIES: Scale = (("GWh", 1e6, 1e6), ("MWh", 1e3, 1e3), ("kWh", 1.0, 1.0), ("Wh", 1e-3, 1e-3),
                   ("mWh", 1e-6, 0.0))  # fmt: skip
# An estimated mass is not known to three figures; an energy may be what somebody typed.
MASS_FIGURES, ENERGY_FIGURES = 2, 3
LEAST = 1e-3  # of the smallest unit; what is less is said to be


def mass(kg: float) -> str:
    """Of CO2e, in mg, g, kg or t, to two figures."""
    return amount(kg, MASSES, MASS_FIGURES)


def energy(kwh: float) -> str:
    """In mWh, Wh, kWh, MWh or GWh, to three figures."""
    return amount(kwh, ENERGIES, ENERGY_FIGURES)


def masses(kg: Spread) -> str:
    """Low, expected and high in the unit of the expected one."""
    return amounts(kg, MASSES, MASS_FIGURES)


def energies(kwh: Spread) -> str:
    """Low, expected and high in the unit of the expected one."""
    return amounts(kwh, ENERGIES, ENERGY_FIGURES)


def amount(value: float, scale: Scale, figures: int) -> str:
    """In the unit of the scale that is used for so much."""
    name, size = unit(value, scale, figures)
    if value and abs(value) / size < LEAST:
        return f"less than {LEAST:g} {name}"
    return f"{plain(value / size, figures)} {name}"


def amounts(spread: Spread, scale: Scale, figures: int) -> str:
    """Low, expected and high in the unit of the expected one; once where they are the same."""
    if spread.low == spread.high:
        return amount(spread.expected, scale, figures)
    name, size = unit(spread.expected, scale, figures)
    ends = (spread.low, spread.expected, spread.high)
    return f"{' / '.join(plain(value / size, figures) for value in ends)} {name}"


def unit(value: float, scale: Scale, figures: int) -> tuple[str, float]:
    """The largest one that is used for so much; for nothing the one in the middle."""
    shown = float(f"{abs(value):.{figures - 1}e}")  # 999.6 g are 1 kg
    places = (place for place, (_, _, least) in enumerate(scale) if shown >= least * (1 - 1e-9))
    name, size, _ = scale[next(places) if shown else len(scale) // 2]
    return name, size


def plain(value: float, figures: int) -> str:
    """At least so many figures, all those before the point, and no exponent."""
    if not value:
        return "0"
    text = f"{value:,.{max(0, figures - 1 - floor(log10(abs(value))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: float) -> str:
    """To a tenth."""
    return f"{value:.1f} %"


def lasting(seconds: float) -> str:
    """In hours, or minutes or seconds where these are few."""
    for name, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{plain(seconds / length, 3)} {name}"
    return f"{plain(seconds, 3)} seconds"
