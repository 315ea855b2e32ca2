"""Where and when a grid is cleaner."""

from collections.abc import Iterable
from typing import Any

from ..values import KG, Intensity
from .annual import annual
from .embedded import months
from .regions import Region, regions

SHOWN = 3  # regions


def comparison(kwh: float | None, places: Iterable[Region]) -> list[dict[str, Any]]:
    """The energy in these places, the cleanest first; none where no energy is known."""
    if kwh is None:
        return []
    found = [(annual(region), region) for region in places]
    return [
        {
            "region": region.code,
            "name": region.name,
            **intensity.g_per_kwh.to_json("intensity_g_per_kwh"),
            **(intensity.g_per_kwh * (kwh * KG)).to_json("emissions_kg"),
            "label": intensity.label.to_json(),
        }
        for intensity, region in sorted(found, key=lambda pair: pair[0].g_per_kwh.expected)
    ]


def cleaner_regions(place: Region, intensity: Intensity) -> dict[str, float]:
    """The cleanest regions where machines are for hire: of a cloud its own, else of any, one a
    grid."""
    cloud = place.code.partition(":")[0] if place.kind == "cloud" else ""
    alike = [r for r in regions() if r.kind == "cloud" and r.code.startswith(cloud)]
    found: dict[str, tuple[float, str]] = {}
    for region in alike:
        grid = region.zone or region.name
        if grid not in found:
            found[grid] = (annual(region).g_per_kwh.expected, region.code)
    best = sorted(found.values())[:SHOWN]
    return {code: g for g, code in best if g < intensity.g_per_kwh.expected}


def clean_hours(place: Region) -> list[int] | None:
    """The three hours of the day (UTC) with the lowest mean over the year."""
    means = months(place)
    if means is None:
        return None
    by_hour = [sum(hour) for hour in zip(*means, strict=True)]
    return sorted(sorted(range(len(by_hour)), key=by_hour.__getitem__)[:3])
