"""A region's mean intensity over a year: from the hourly table, or from codecarbon's statistics."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..values import LB_PER_MWH, Factors, Intensity, Label, Spread
from .embedded import LABEL, month_deviations, months
from .regions import Region, find

_SOURCES = {
    "biomass": "biomass",
    "coal": "coal",
    "hydro": "hydroelectricity",
    "naturalGas": "natural_gas",
    "nuclear": "nuclear",
    "other": "world_average",
    "petroleum": "petroleum",
    "solar": "solar",
    "tidal": "hydroelectricity",
    "wind": "wind",
}
_PLANTS = {
    "biofuel": "biomass",
    "coal": "coal",
    "gas": "natural_gas",
    "hydroelectricity": "hydroelectricity",
    "nuclear": "nuclear",
    "oil": "petroleum",
    "solar": "solar",
    "wind": "wind",
}
# The hours of a year lie about so far from its mean, in the median of the 123 zones of the table.
SWING = (0.75, 1.22)


@cache
def _data(name: str) -> Any:
    """A file of codecarbon."""
    path = _package() / "data" / "private_infra" / name
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def _package() -> Path:
    """Codecarbon's folder; the package is not imported for it: that takes a second."""
    spec = find_spec("codecarbon")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'codecarbon'", name="codecarbon")
    return Path(spec.origin).parent


@cache
def _origin() -> str:
    """With its version, as pip names the folder beside it: importlib.metadata would cost a light
    command a tenth of its time."""
    beside = sorted(_package().parent.glob("codecarbon-*.dist-info"))
    return " ".join(["codecarbon", *(folder.stem.partition("-")[2] for folder in beside[-1:])])


def _published(value: float, year: int, origin: str, factors: Factors = "life-cycle") -> Intensity:
    label = Label("average", factors, str(year), f"{_origin()}: {origin}", "published")
    return Intensity(Spread(SWING[0] * value, value, SWING[1] * value), label)


def annual(region: Region) -> Intensity:
    """The year's mean; low and high are the 5th and 95th percentile of the typical hours, or the
    median zone's swing where no hours are known. UsageError where there is no figure."""
    means = months(region)
    return _of_hours(means) if means else statistic(region)


def statistic(region: Region) -> Intensity:
    """The published mean of around(region). UsageError where there is none."""
    place = around(region)
    if place.kind == "zone":
        return _bidding_zone(place)
    if place.kind == "state":
        return _SUBDIVIDED[place.country](place)
    countries = _data("global_energy_mix.json")
    if place.country not in countries:
        raise UsageError(f"no intensity is known for {place.name}", "--source csv:FILE")
    row = countries[place.country]
    # A 0 is a gap: no power plant has none.
    grams = row["carbon_intensity"] or _mixed({s: row[f"{s}_TWh"] for s in _PLANTS}, _PLANTS)
    return _published(grams, row["year"], "Our World in Data")


def around(region: Region) -> Region:
    """The narrowest place around the region, or itself, of which a year's mean is published: a
    bidding zone in Norway and Sweden, a state or province in the US, Canada and China, a country
    elsewhere."""
    if region.zone and region.country in ("NOR", "SWE"):
        return find(region.zone)
    if region.subdivision and region.country in _SUBDIVIDED:
        return find(f"{find(region.country).code}-{region.subdivision}")
    return find(region.country)


def _of_hours(means: list[list[float]]) -> Intensity:
    values = sorted(value for month in means for value in month)
    expected = sum(values) / len(values)
    return Intensity(Spread(quantile(values, 0.05), expected, quantile(values, 0.95)), LABEL)


def usual(region: Region, month: int | None, hour: int | None) -> Intensity:
    """The mean in a month (1 to 12), an hour of the day (UTC, 0 to 23) or both; low and high are a
    standard deviation of a month's hours away. UsageError where no hours are known."""
    means, deviations = months(region), month_deviations(region)
    if means is None or deviations is None:
        raise UsageError(f"the hours of {region.name} are not known",
                         f"a zone of it: dln carbon regions {region.code}")  # fmt: skip
    rows = [month - 1] if month else range(len(means))
    found = [
        value for row in rows for value in (means[row] if hour is None else [means[row][hour]])
    ]
    mean = sum(found) / len(found)
    apart = sum(deviations[row] for row in rows) / len(rows)
    return Intensity(Spread(max(0.0, mean - apart), mean, mean + apart), LABEL)


def quantile(values: list[float], share: float) -> float:
    """Of ascending values, between two of them in proportion."""
    place = share * (len(values) - 1)
    below = min(int(place), len(values) - 2)
    return values[below] + (place - below) * (values[below + 1] - values[below])


def _state(place: Region) -> Intensity:
    """EPA's eGRID, in lb/MWh: what leaves the chimneys."""
    table = _data("2023/usa_emissions.json")
    rows = {row["regionCode"]: row["emissions"] for row in table.values() if "regionCode" in row
            and "_" not in row}  # fmt: skip
    grams = rows[place.subdivision] * LB_PER_MWH
    return _published(grams, table["_source"]["year"], "EPA eGRID", "direct")


def _province(place: Region) -> Intensity:
    """A Canadian province's mix in percent, each source with codecarbon's life-cycle factor."""
    mix = dict(_data("2023/canada_energy_mix.json")[place.name.lower()])
    del mix["total"]
    return _published(_mixed(mix, _SOURCES), 2023, "mix of the province")


def _chinese(place: Region) -> Intensity:
    """A Chinese province's, of the ministry of ecology: CO2 alone, imports from others counted."""
    row = _data("2023/china_provincial_emissions.json")["data"][place.code]
    origin = "China's Ministry of Ecology and Environment, CO2 alone"
    return _published(row["emission_factor"], row["year"], origin, "direct")


def _bidding_zone(place: Region) -> Intensity:
    """A Norwegian or Swedish one's."""
    row = _data("nordic_emissions.json")["data"][place.code.rpartition("-")[2]]
    return _published(row["emission_factor"], row["year"], "ENTSO-E")


_SUBDIVIDED = {"USA": _state, "CAN": _province, "CHN": _chinese}


def _mixed(mix: dict[str, float], called: dict[str, str]) -> float:
    """g/kWh of a mix; `called`: what its sources are named in codecarbon's table of factors."""
    factors = _data("carbon_intensity_per_source.json")
    return sum(part * factors[called[source]] for source, part in mix.items()) / sum(mix.values())
