"""`dln evaluate` of generators of video without text."""

from typing import Any

import pytest

from dln.core.metrics import motion
from dln.core.metrics.motion import LEFT_OUT


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the measure of motion was asked, which tells at once."""
    calls: list[dict[str, Any]] = []

    def measure(loaded, on_progress, **told: Any) -> dict[str, Any]:
        calls.append(told)
        share = {"land_stays": 0.97, "land_stays_low": 0.9, "land_stays_high": 0.99}
        return {**share, "brightness_flicker": None, "left_out": LEFT_OUT}

    monkeypatch.setattr(motion, "motion", measure)
    return calls


def test_motion_is_told_with_its_intervals(dln, core, asked):
    shown = dln("evaluate", "stylegan-v", "--metrics", "motion")
    assert "0.97 (95 %: 0.9 to 0.99)" in shown.out
    assert LEFT_OUT.split(",")[0] in shown.out
    few = ("-n", "7", "--frames", "64", "--json")
    told = dln("evaluate", "stylegan-v", "--metrics", "motion", *few)
    assert told.json["metrics"]["land_stays"] == 0.97
    assert [call["count"] for call in asked] == [None, 7]
    assert [call["settings"] for call in asked] == [{}, {"frames": 64}]


def test_motion_takes_no_detector_and_draws_nothing(dln, core, asked):
    for flags in (["--i3d", "i3d.pt"], ["--best-of", "2"], ["--out", "steps.png"]):
        refused = dln("evaluate", "stylegan-v", "--metrics", "motion", *flags)
        assert (refused.code, refused.out) == (2, "")
    assert asked == []


def test_how_many_clips_is_left_to_what_measures_them(dln, core):
    core.metrics = {"fvd_16": 80.0, "protocol": "StyleGAN-V"}
    shown = dln("evaluate", "stylegan-v", "--i3d", "i3d.pt")
    assert "fvd 16" in shown.out
    assert core.evaluations[-1]["count"] is None
    dln("evaluate", "video-diffusion", "--metrics", "coherence")
    assert core.evaluations[-1]["count"] == 200
    dln("evaluate", "recognizer", "--metrics", "sharpness")
    assert core.evaluations[-1]["count"] == 200


def test_a_small_model_is_measured_from_end_to_end(dln, toy_weights):
    weights = str(toy_weights("stylegan-v"))
    flags = ("evaluate", weights, "--data", "vistas", "--frames", "32", "-n", "2", "--json")
    moved = dln(*flags, "--metrics", "motion").json["metrics"]
    assert {moved["land_stays"], moved["hour_forward"]} <= {0, 0.5, 1}
    assert (moved["frames"], moved["count"]) == (32, 2)
    assert dln(*flags).json["metrics"]["real_clips_32"] == 2
    paced = dln(*flags, "--metrics", "pace", "--out", "pace.png").json
    assert paced["plot"] == "pace.png"
    assert paced["metrics"]["similarity_1s_real"] <= 1
    assert dln(*flags, "--metrics", "pace", "--out", "pace.png").code == 2
    missing = dln(*flags, "--i3d", "nowhere.pt")
    assert missing.code == 2
    assert "no file nowhere.pt" in missing.json["error"]["message"]
