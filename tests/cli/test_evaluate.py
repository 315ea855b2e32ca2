"""`dln evaluate`: which passes are made, what is said of them, and what is refused."""

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "export"))
import toy_export  # pyright: ignore[reportMissingImports]


def test_evaluate(dln, core):
    core.metrics = {
        "actor_accuracy": 0.91234,
        "actor_low": 0.85,
        "actor_high": 0.95,
        "scene_accuracy": None,
        "scene_low": None,
        "scene_high": None,
        "confusions": [{"prompt": "лев танцует", "expected": "lion", "seen": "bear"}],
        "count": 4,
    }
    outcome = dln("evaluate", "cogvideo", "--count", "4")
    assert "0.9123 (95 %: 0.85 to 0.95)" in outcome.out
    assert "лев танцует: bear" in outcome.out
    assert "actor low" not in outcome.out
    assert dln("evaluate", "cogvideo", "--json").json["metrics"] == core.metrics
    assert "actor accuracy 0.9123" in dln("evaluate", "cogvideo", "-q").out
    assert dln("evaluate", "nothing").code == 2
    assert dln("evaluate", "cogvideo", "--count", "0").code == 2


def test_evaluate_the_minimum(dln, core):
    """The slice is drawn where --out says, and never over what is there."""
    core.metrics = {"top_hessian_eigenvalue": 12.5}
    flags = ("recognizer", "--metrics", "sharpness", "-n", "7", "-s", "3")
    found = dln("evaluate", *flags, "--out", "slice.png", "--json").json
    assert found["metrics"] == core.metrics
    assert (found["slice"], found["count"]) == ("slice.png", 7)
    (asked,) = core.evaluations
    assert (asked["count"], asked["seed"]) == (7, 3)
    assert asked["device"] in ("cpu", "cuda")
    with Image.open("slice.png") as picture:
        assert picture.format == "PNG"
    assert dln("evaluate", *flags, "--out", "slice.png").code == 2
    assert dln("evaluate", *flags, "--data", "digits").code == 2
    assert "hessian eigenvalue" in dln("evaluate", *flags).out


def test_evaluate_against_steps(dln, core):
    core.metrics = {"actor_accuracy": 0.75, "actor_low": 0.5, "actor_high": 0.9, "confusions": []}
    flags = ("video-diffusion", "--seen", "--steps", "8", "--steps", "2", "--guidance", "2")
    found = dln("evaluate", *flags, "--out", "steps.png", "--json").json
    assert [asked["settings"]["steps"] for asked in core.evaluations] == [2, 8]
    assert found["steps"] == {"2": core.metrics, "8": core.metrics}
    assert (found["settings"], found["plot"]) == ({"guidance": 2.0}, "steps.png")
    with Image.open("steps.png") as picture:
        assert picture.format == "PNG"
    outcome = dln("evaluate", *flags)
    assert "8 steps" in outcome.out
    assert outcome.out.count("0.75 (95 %: 0.5 to 0.9)") == 2
    assert dln("evaluate", *flags, "--out", "steps.png").code == 2
    few = dln("evaluate", "video-diffusion", "--steps", "4", "--json")
    assert few.json["settings"] == {"steps": 4}
    assert dln("evaluate", "video-diffusion", "--steps", "4", "--out", "one.png").code == 2
    assert dln("evaluate", "cogvideo", "--out", "none.png").code == 2


def test_evaluate_the_coherence_of_long_clips(dln, core):
    core.metrics = {"agreement": 0.5, "agreement_low": 0.25, "agreement_high": 0.75}
    flags = ("--metrics", "coherence", "--held-out", "--reconstruction", "0", "-n", "2")
    assert "0.5 (95 %: 0.25 to 0.75)" in dln("evaluate", "video-diffusion", *flags).out
    assert dln("evaluate", "video-diffusion", *flags, "--frames", "40").code == 0
    assert [asked["frames"] for asked in core.evaluations] == [64, 40]
    assert dln("evaluate", "video-diffusion", *flags, "--best-of", "2").code == 2
    assert core.evaluations[0]["settings"] == {"reconstruction": 0.0}
    assert (core.evaluations[0]["held_out"], core.evaluations[0]["count"]) == (True, 2)


def test_evaluate_refuses_what_the_model_lacks(dln, core):
    core.metrics = {"frechet_distance": 2.5}
    for name in ("steps", "reconstruction", "magic"):
        flags = ("--set", "magic=1") if name == "magic" else (f"--{name}", "4")
        outcome = dln("evaluate", "cogvideo", *flags)
        assert outcome.code == 2
        assert f"cogvideo has no {name}" in outcome.err
    assert core.evaluations == []
    asked = ("--guidance", "2", "--set", "guidance=3", "--set", "top_p=0.5", "--seen")
    found = dln("evaluate", "cogvideo", *asked, "--json").json
    assert found["settings"] == {"guidance": 3, "top_p": 0.5}


def test_json_has_no_nan(dln, core):
    core.metrics = {"loss": float("nan"), "deep": [{"rate": float("inf")}], "fine": 1.5}
    metrics = dln("evaluate", "cogvideo", "--json").json["metrics"]
    assert metrics == {"loss": None, "deep": [{"rate": None}], "fine": 1.5}


@pytest.mark.parametrize(
    ("flags", "held_out"),
    [([], [False, True]), (["--held-out"], [True]), (["--seen"], [False])],
)
def test_evaluate_on_which_pairs(dln, core, flags, held_out):
    dln("evaluate", "cogvideo", *flags, "--guidance", "2", "-s", "5", "-n", "7", "--best-of", "3")
    assert [asked["held_out"] for asked in core.evaluations] == held_out
    asked = core.evaluations[-1]
    assert asked["best_of"] == 3
    assert (asked["settings"], asked["seed"], asked["count"]) == ({"guidance": 2.0}, 5, 7)


def test_evaluate_what_reads_no_prompt(dln, core):
    """One pass, since it has no pairs to hold out, against the data of its card or --data."""
    core.metrics = {"frechet_distance": 2.5}
    found = dln("evaluate", "toy-gan", "--json")
    assert (found.json["metrics"], found.json["data"]) == (core.metrics, "menagerie")
    assert (found.json["notes"], found.err) == ([], "")
    assert dln("evaluate", "toy-gan", "--data", "digits", "--json").json["data"] == "digits"
    assert [(asked["held_out"], asked["data"]) for asked in core.evaluations] == [
        (False, None), (False, "digits")
    ]  # fmt: skip
    for flag in ("--held-out", "--seen"):
        refused = dln("evaluate", "toy-gan", flag)
        assert refused.code == 2
        assert "no held-out pairs" in refused.err
    assert len(core.evaluations) == 2


def test_evaluate_in_another_world_says_what_it_leaves_out(dln, core):
    core.metrics = {"frechet_distance": 2.5}
    outcome = dln("evaluate", "cogvideo", "--data", "digits", "--json")
    assert len(core.evaluations) == 1
    (note,) = outcome.json["notes"]
    assert "cannot be judged" in note
    assert f"note: {note}" in outcome.err


def test_evaluate_a_file_against_a_folder(dln):
    """Nothing stands in for anything: the few weights of a toy, and two clips in a folder."""
    assert dln("data", "render", "own", "--count", "2", "--size", "32", "-q").code == 0
    weights = str(toy_export.weights())
    unknown = dln("evaluate", weights, "-n", "4")
    assert unknown.code == 2
    assert "does not say what it was trained on" in unknown.err
    found = dln("evaluate", weights, "-n", "4", "--data", "own", "--json").json
    assert (found["data"], found["metrics"]["count"]) == ("own", 4)
    assert found["metrics"]["frechet_distance"] is None
    assert "only 2 clips" in found["metrics"]["warning"]
    assert found["metrics"]["psnr_db"] > 0
    assert not [name for name in found["metrics"] if "accuracy" in name]
    named = dln("evaluate", weights, "-n", "4", "--data", "menagerie", "--seen", "--json").json
    assert named["metrics"]["frechet_distance"] > 0
    assert named["metrics"]["actor_accuracy"] is not None


@pytest.mark.parametrize(
    "options",
    [
        ["--data", "digits"], ["--held-out"], ["--seen"], ["--steps", "3"], ["--frames", "3"],
        ["--guidance", "2"], ["--set", "nonsense=1"], ["--best-of", "3"], ["--engine", "onnx"],
        ["--precision", "int8"], ["--i3d", "i3d.pt"], ["--reconstruction", "0"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_sharpness_takes_nothing_of_clips(dln, core, options):
    refused = dln("evaluate", "recognizer", "--metrics", "sharpness", *options)
    assert (refused.code, refused.out) == (2, "")
    assert options[0].replace("seen", "held-out") in refused.err


def test_a_precision_is_of_an_export(dln, core):
    refused = dln("evaluate", "cogvideo", "--precision", "int8")
    assert refused.code == 2
    assert "--engine onnx" in refused.err
