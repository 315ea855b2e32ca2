"""What a mass of CO2e equals, in litres and kilometres."""

from __future__ import annotations

from collections.abc import Mapping

from .amounts import plain

KM, LITRES = 1.609344, 3.785411784  # of a mile, of a US gallon (NIST SP 811)
# Tonnes of CO2 of each, as EPA gives them (quoted by Dodge et al. 2022).
EPA_TONNES = {
    "phone_charges": 8.22e-6,
    "car_miles": 3.98e-4,
    "gallons_of_petrol": 8.887e-3,
    "barrels_of_oil": 0.43,
    "home_years": 8.30,
    "rail_cars_of_coal": 181.29,
}
# Converted.
TONNES = {
    "phone_charges": EPA_TONNES["phone_charges"],
    "car_km": EPA_TONNES["car_miles"] / KM,
    "litres_of_petrol": EPA_TONNES["gallons_of_petrol"] / LITRES,
    "us_home_years": EPA_TONNES["home_years"],
}
# As they are told: what most people know first.
NAMES = {
    "litres_of_petrol": "litres of petrol",
    "car_km": "km by car",
    "us_home_years": "years of a US home's energy",
}
FIGURES = 2


def equivalents(kg: float, table: Mapping[str, float] = TONNES) -> dict[str, float]:
    """How many of each emit `kg` of CO2. table: tonnes of each."""
    return {name: kg / 1000 / tonnes for name, tonnes in table.items()}


def equal_to(kg: float) -> str:
    """ "28 litres of petrol or 260 km by car"; phone charges where these are less than one."""
    counts = equivalents(kg)
    told = [f"{plain(counts[name], FIGURES)} {words}" for name, words in NAMES.items()
            if counts[name] >= 1]  # fmt: skip
    if told:
        return ", or ".join(filter(None, (", ".join(told[:-1]), told[-1])))
    charges = counts["phone_charges"]
    if charges < 0.1:
        return "less than a tenth of a phone charge"
    return f"{plain(charges, FIGURES)} phone charges"
