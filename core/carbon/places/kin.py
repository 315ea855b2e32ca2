"""Where one name means several places, or one place has several figures: which, and why."""

from dataclasses import dataclass

from ..values import Intensity
from .annual import annual, around, statistic
from .regions import Region, called, find, regions

APART = 0.02  # of a figure: nearer ones are the same
# Whose statistics count what a place's plants make; the others what its plugs get.
_MADE = ("Our World in Data", "EPA eGRID", "mix of the province", "ENTSO-E")


@dataclass(frozen=True)
class Other:
    """A figure that somebody may have met for the same place, and how it comes to differ."""

    name: str
    intensity: Intensity
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.intensity.g_per_kwh.expected:.0f} g/kWh ({self.why})"


def namesakes(text: str, region: Region) -> list[Region]:
    """What else `text` names, as far as its figure is another than the region's."""
    own = annual(region)
    return [r for r in called(text) if r != region and _apart(own, annual(r))]


def others(region: Region) -> list[Other]:
    """The published figure of the place around the region, and those of the zone's country and of
    a state that is a zone by itself, as far as they differ from annual(region)."""
    own, place = annual(region), around(region)
    name = "as published" if place == region else f"{place.name} as a whole"
    wider = [*_states(region), *([find(region.country)] if place.kind == "zone" else [])]
    figures = {name: statistic(region)} | {f"{w.name} as a whole": annual(w) for w in wider}
    return [Other(n, found, why(own, found)) for n, found in figures.items() if _apart(own, found)]


def parts(region: Region) -> list[Region]:
    """The grid zones, states and provinces within a country or a state, cleanest first; none where
    their figures are the region's own."""
    if region.kind not in ("country", "state"):
        return []
    own = annual(region)
    found = [r for r in regions() if r.kind in ("zone", "state") and _within(r, region)]
    return sorted(found, key=_expected) if any(_apart(own, annual(r)) for r in found) else []


def why(own: Intensity, other: Intensity) -> str:
    """What sets the other figure apart."""
    ours, label, reasons = own.label, other.label, []
    if label.year != ours.year:
        reasons.append(label.year)
    if label.factors != ours.factors:
        reasons.append(f"{label.factors} factors")
    made, ours_made = (one.origin.endswith(_MADE) for one in (label, ours))
    if made != ours_made:
        reasons.append("what its plants make, no imports" if made else "imports counted")
    return ", ".join([*reasons, label.origin])


def lines(region: Region) -> list[str]:
    """What else is said of the place, a sentence each; none where nothing else is."""
    told, place = [str(other) for other in others(region)], around(region)
    if region.kind == "cloud" and region.zone is None and parts(place):
        told.append(f"{place.name} has several grids: which one it is on is not known")
    if within := parts(region):
        ends = {f"{_expected(r):.0f} ({r.code})": r for r in (within[0], within[-1])}
        reasons = dict.fromkeys(why(annual(region), annual(r)) for r in ends.values())
        # A country whose hours are one zone's: what is no part of that grid.
        what = "not in it" if region.zone else "within it"
        told.append(f"{what}: {' to '.join(ends)} g/kWh ({'; '.join(reasons)})")
    return told


def _states(region: Region) -> list[Region]:
    """The grid zone that is the state which the region lies in, as IN-MH is Maharashtra."""
    if region.kind != "cloud" or region.subdivision is None:
        return []
    code = f"{find(region.country).code}-{region.subdivision}"
    return [r for r in regions() if r.kind == "zone" and r.code == code]


def _within(part: Region, whole: Region) -> bool:
    if part == whole or part.country != whole.country:
        return False
    return whole.kind == "country" or part.subdivision == whole.subdivision


def _expected(region: Region) -> float:
    return annual(region).g_per_kwh.expected


def _apart(one: Intensity, other: Intensity) -> bool:
    a, b = one.g_per_kwh.expected, other.g_per_kwh.expected
    return abs(a - b) > APART * max(a, b)
