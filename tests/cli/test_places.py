"""What the commands say where a name means two places, or a place has two figures."""

import json

import pytest

from dln.core.carbon.places.annual import annual, statistic
from dln.core.carbon.places.regions import find


def grams(code: str) -> str:
    return f"{annual(find(code)).g_per_kwh.expected:.0f} g/kWh"


@pytest.mark.parametrize(
    "words",
    [
        ("estimate", "--region", "Georgia"),
        ("schedule", "--region", "Georgia", "--duration", "2h", "--slack", "2h",
         "--source", "annual"),
        ("compare", "--kwh", "1", "--regions", "norway,Georgia"),
    ],
)  # fmt: skip
def test_a_country_and_a_state_of_one_name(dln, words):
    found = dln("carbon", *words, "--json")
    assert f"'Georgia' is taken for the country GE ({grams('GE')})" in found.err
    assert f"not for the state US-GA ({grams('US-GA')})" in found.err
    assert "US-GA" not in json.dumps(found.json)


def test_a_code_means_one_place(dln):
    assert dln("carbon", "estimate", "--region", "US-GA").err == ""


def test_other_figures_of_the_place(dln):
    published = statistic(find("DE"))
    (line,) = dln("carbon", "estimate", "--region", "germany", "--json").json["other_figures"]
    grams = f"{published.g_per_kwh.expected:.0f} g/kWh"
    assert line.startswith(f"as published: {grams} ({published.label.year}, what its plants make")
    assert line[:40] in dln("carbon", "estimate", "--region", "germany").out
    found = dln("carbon", "estimate", "--region", "aws:ca-west-1", "--json").json
    assert found["other_figures"] == []


def test_the_device_that_a_name_was_taken_for(dln):
    asked = ("carbon", "estimate", "--region", "norway", "--hours", "1", "--gpu", "P100")
    found = dln(*asked, "--json").json
    assert (found["device"], found["device_watts"]) == ("P100-PCIE", 250)
    assert found["energy_kwh_high"] == pytest.approx(0.25)
    assert found["energy_origin"].endswith("P100-PCIE, 250 W rated, not P100-SXM2 (300 W))")
