"""Carbon intensity from the network: asked only where a command names one of these servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....errors import UsageError, closest
from .adapter import Live
from .eia import Eia
from .electricity_maps import ElectricityMaps
from .gb import GreatBritain
from .watttime import WattTime

if TYPE_CHECKING:
    from ...places.regions import Region

ADAPTERS: dict[str, type[Live]] = {
    "gb": GreatBritain,
    "electricity-maps": ElectricityMaps,
    "watttime": WattTime,
    "eia": Eia,
}

__all__ = ["ADAPTERS", "Live", "open_live"]


def open_live(name: str, region: Region) -> Live:
    """The adapter of that name for a region; nothing is fetched yet.

    Raises UsageError for an unknown name, or a region that the server does not know.
    """
    if name not in ADAPTERS:
        raise UsageError(
            f"{name!r} is no live source.{closest(name, ADAPTERS)}",
            hint=f"one of: {', '.join(ADAPTERS)}",
        )
    return ADAPTERS[name](region)
