"""Amounts as people read them, and what they equal, by hand."""

import pytest

from dln.core.carbon.costs.amounts import amounts, energies, energy, lasting, mass, masses, plain
from dln.core.carbon.costs.equivalents import equal_to, equivalents
from dln.core.carbon.values import Spread


@pytest.mark.parametrize(
    ("kg", "text"),
    [
        (8.374e-07, "0.84 mg"),
        (0.012, "12 g"),
        (7.46, "7.5 kg"),
        (1_234, "1.2 t"),
        (1_234_567, "1,235 t"),
        (0, "0 g"),
        (0.9996, "1 kg"),
        (0.9946, "995 g"),
        (0.00999, "10 g"),
        (1e-6, "1 mg"),
        (3.4e-9, "0.0034 mg"),
        (3.4e-10, "340 ng"),
        (1e-18, "less than 0.001 ng"),
        (141.3, "141 kg"),
    ],
)
def test_masses(kg: float, text: str):
    assert mass(kg) == text


@pytest.mark.parametrize(
    ("kwh", "text"),
    [
        (5.6e-5, "56 mWh"),
        (0.05, "50 Wh"),
        (37.3, "37.3 kWh"),
        (13_812.4, "13.8 MWh"),
        (2.5e6, "2.5 GWh"),
        (0.99996, "1 kWh"),
        (0, "0 kWh"),
    ],
)
def test_energies(kwh: float, text: str):
    assert energy(kwh) == text


def test_a_range_has_one_unit():
    assert masses(Spread(0.00113, 0.0015, 0.00183)) == "1.1 / 1.5 / 1.8 g"
    assert masses(Spread(0.0004, 0.0015, 1.83)) == "0.4 / 1.5 / 1,830 g"
    assert energies(Spread.exact(37.3)) == "37.3 kWh"
    assert amounts(Spread(1, 2, 3), (("b", 10.0, 10.0), ("a", 1.0, 0.0)), 1) == "1 / 2 / 3 a"


@pytest.mark.parametrize("exponent", range(-12, 13))
def test_no_amount_has_an_exponent(exponent: int):
    for figures in (1, 2, 3):
        for digits in (1.0, 2.345, 9.996):
            text = plain(digits * 10**exponent, figures)
            assert "e" not in text
            assert float(text.replace(",", "")) == pytest.approx(
                digits * 10**exponent, rel=0.51 * 10 ** (1 - figures)
            )


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90 seconds"), (2400, "40 minutes"), (98_640, "27.4 hours")]
)
def test_times(seconds: float, text: str):
    assert lasting(seconds) == text


def test_what_a_mass_equals():
    """EPA: 8.887 kg a US gallon of 3.785411784 l, 398 g a mile of 1.609344 km."""
    found = equivalents(100.0)
    assert found["litres_of_petrol"] == pytest.approx(100 / 8.887 * 3.785411784)
    assert found["car_km"] == pytest.approx(100 / 0.398 * 1.609344)
    assert equal_to(100.0) == "43 litres of petrol, or 404 km by car"
    assert equal_to(20_000.0).endswith("or 2.4 years of a US home's energy")
    assert equal_to(0.02) == "2.4 phone charges"
    assert equal_to(1e-6) == "less than a tenth of a phone charge"
