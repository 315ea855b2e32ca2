"""What making the machines emitted, and the Software Carbon Intensity, by hand."""

import pytest

from dln.core.carbon.costs.embodied import YEAR_HOURS, Work, machines, work
from dln.core.carbon.values import Spread
from dln.core.errors import UsageError


def test_the_share_by_hand():
    """The specification's own example: 1,000 kg, 4 years, one hour are about 28 g."""
    found = machines("1000").share(Spread.exact(1.0))
    assert found.high == pytest.approx(1000 / (4 * 365 * 24))
    assert found.high * 1000 == pytest.approx(28, abs=1)
    assert found.expected == pytest.approx(1000 / (5 * 365 * 24))
    assert found.low == pytest.approx(1000 / (6 * 365 * 24))


def test_cards_bring_their_part_of_a_server():
    """HGX H100: 1,312 kg for eight; a server of 2,500 kg holds them."""
    assert machines("8xH100").kg.expected == pytest.approx(1312 + 2500)
    assert machines("H100").kg.expected == pytest.approx(1312 / 8 + 2500 / 8)
    assert machines("16xNVIDIA H100").kg == machines("8xh100").kg * 2
    assert machines("server").kg.expected == 2500
    for spec in ("A100", "v100", "b200", "2xserver"):
        kg = machines(spec).kg
        assert 0 < kg.low <= kg.expected <= kg.high
        assert machines(spec).origin


def test_the_intensity_by_hand():
    """((E I) + M) / R: 140 kWh at 100 g and 36 h of 1,000 kg over five years, for 500 steps."""
    share = machines("1000").share(Spread.exact(36.0))
    found = Work(500, "step").intensity(140 * 100 / 1000, share)
    assert found["sci_kg_per_unit"] == pytest.approx((14 + 1000 * 36 / (5 * YEAR_HOURS)) / 500)
    assert found["sci_kg_per_unit_high"] == pytest.approx((14 + 1000 * 36 / (4 * YEAR_HOURS)) / 500)
    assert (found["unit"], found["units"]) == ("step", 500)


def test_units():
    assert work("24:clip", None) == Work(24, "clip")
    assert work("1.5e3: hour of video ", 7) == Work(1500, "hour of video")
    assert work("step", 7) == Work(7, "step")
    assert work("3:step", 7) == Work(3, "step")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("step", "how many steps there were is not known"),
        ("clip", "how many of 'clip' there were"),
        ("x:clip", "'x' is no number"),
        ("0:clip", "at least 1e-09"),
        ("nan:clip", "at least 1e-09"),
        ("1e-320:clip", "at least 1e-09"),
        ("1e99:clip", "at most"),
        ("3:", "names no unit"),
        ("", "names no unit"),
        ("3:a\nb", "names no unit"),
        ("3:" + "a" * 99, "names no unit"),
    ],
)
def test_what_is_no_unit(text: str, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        work(text, None)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("H10O", "Did you mean .*h100"),
        ("0xH100", "at least 1"),
        ("9" * 400 + "xH100", "at most 1,000,000 machines"),
        ("-5", "above 0"),
        ("nan", "above 0"),
        ("inf", "at most"),
        ("x", "is not known"),
        ("", "is not known"),
    ],
)
def test_what_is_no_machine(spec: str, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        machines(spec)
