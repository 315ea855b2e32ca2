"""What a mass of CO2e equals, in litres and kilometres."""

from __future__ import annotations

from .amounts import plain
from .energy import EQUIVALENTS

KM, LITRES = 1.609344, 3.785411784  # of a mile, of a US gallon (NIST SP 811)
# Tonnes of CO2 of each: EPA's factors (Dodge et al. 2022), converted.
TONNES = {
    "phone_charges": EQUIVALENTS["phone_charges"],
    "car_km": EQUIVALENTS["car_miles"] / KM,
    "litres_of_petrol": EQUIVALENTS["gallons_of_petrol"] / LITRES,
    "us_home_years": EQUIVALENTS["home_years"],
}
# As they are told: what most people know first.
NAMES = {
    "litres_of_petrol": "litres of petrol",
    "car_km": "km by car",
    "us_home_years": "years of a US home's energy",
}
FIGURES = 2


def equivalents(kg: float) -> dict[str, float]:
    """How many of each emit `kg` of CO2."""
    return {name: kg / 1000 / tonnes for name, tonnes in TONNES.items()}


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
