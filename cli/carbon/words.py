"""How figures of carbon are written for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dln.core.carbon.values import Spread

NAMES = {
    "phone_charges": "phone charges",
    "car_miles": "miles by car",
    "gallons_of_petrol": "gallons of petrol",
    "barrels_of_oil": "barrels of oil",
    "home_years": "years of a home",
    "rail_cars_of_coal": "rail cars of coal",
}


def figure(value: float) -> str:
    """Three figures; whole numbers in groups of three where there are more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def words(spread: "Spread") -> str:
    """Low, expected and high, or the one number that they are."""
    if spread.low == spread.high:
        return figure(spread.expected)
    return " / ".join(figure(value) for value in (spread.low, spread.expected, spread.high))


def mass(kg: float) -> str:
    """In g, kg or t."""
    if kg >= 1000:
        return f"{figure(kg / 1000)} t"
    return f"{figure(kg)} kg" if kg >= 1 else f"{figure(kg * 1000)} g"


def alike(counts: dict[str, float], most: int = 3) -> str:
    """The largest things that are emitted at least once, else phone charges."""
    whole = [name for name, count in counts.items() if count >= 1] or ["phone_charges"]
    return ", ".join(f"{figure(counts[name])} {NAMES[name]}" for name in whole[: -most - 1 : -1])
