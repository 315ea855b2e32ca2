"""How figures of carbon are written for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dln.core.carbon.values import Spread


def figure(value: float) -> str:
    """Three figures; whole numbers in groups of three where there are more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def words(spread: "Spread") -> str:
    """Low, expected and high, or the one number that they are."""
    if spread.low == spread.high:
        return figure(spread.expected)
    return " / ".join(figure(value) for value in (spread.low, spread.expected, spread.high))
