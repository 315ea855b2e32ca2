"""models, data, doctor, evaluate: lists and tables, for eyes and for programs."""

import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "export"))
import toy_export  # pyright: ignore[reportMissingImports]

from dln.cli.options import size_of
from dln.core.errors import UsageError
from dln.core.models.registry import MODELS


def test_models_list(dln, wordless):
    outcome = dln("models", "list")
    assert "cogvideo" in outcome.out
    assert "arXiv:2205.15868" in outcome.out
    assert dln("models", "list", "--quiet").out.splitlines() == list(MODELS)
    entries = {entry["name"]: entry for entry in dln("models", "list", "--json").json["models"]}
    assert list(entries) == list(MODELS)
    assert {entries[name]["weights"] for name in ("cogvideo", "recognizer")} == {"bundled"}
    assert {entries[name]["weights"] for name in (wordless, "vit")} == {"none"}
    assert [name for name in entries if not entries[name]["generates"]] == [
        "recognizer", "resnet", "vit"
    ]  # fmt: skip


def test_models_show(dln, wordless):
    shown = dln("models", "show", "cogvideo", "--json").json
    assert shown["title"] == MODELS["cogvideo"].title
    assert "text" in shown["takes"]
    assert "guidance" in [setting["name"] for setting in shown["settings"]]
    assert shown["card"]["model"] == "cogvideo"
    bare = dln("models", "show", wordless, "--json").json
    assert (bare["takes"], bare["card"], bare["weights_path"]) == ([], None, None)
    assert dln("models", "show", "nothing").code == 2


def weights(path: Path, header: object) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


def test_models_show_reads_the_card(dln, monkeypatch, tmp_path):
    from dln.cli import models

    card = {"seed": 0, "metrics": {"tokenizer": {"psnr": 25.5}}, "widths": [1, 2]}
    text = json.dumps({"format": "dln-model-1", "card": card})
    path = weights(tmp_path / "w.safetensors", {"__metadata__": {"dln": text}})
    monkeypatch.setattr(models, "weights_of", lambda spec: path)
    shown = dln("models", "show", "cogvideo", "--json").json
    assert shown["weights"] == "bundled"
    assert shown["card"] == card
    assert "25.5" in dln("models", "show", "cogvideo").out
    assert dln("models", "show", "cogvideo", "-q").out == f"{path}\n"


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        ({}, 2, "was not written by dln"),
        ({"__metadata__": {"dln": "{"}}, 1, "damaged"),
        ({"__metadata__": {"dln": "{}"}}, 1, "damaged"),
        ([], 1, "damaged"),
    ],
)
def test_a_card_that_cannot_be_read(dln, monkeypatch, tmp_path, header, code, words):
    from dln.cli import models

    path = weights(tmp_path / "w.safetensors", header)
    monkeypatch.setattr(models, "weights_of", lambda spec: path)
    outcome = dln("models", "show", "cogvideo")
    assert outcome.code == code
    assert words in outcome.err


def test_data_list(dln):
    assert "menagerie" in dln("data", "list").out
    assert dln("data", "list", "-q").out == "menagerie\ndigits\n"
    assert dln("data", "list", "--json").json["data"][0]["name"] == "menagerie"


def test_data_show(dln):
    facts = dln("data", "show", "menagerie", "--json").json
    assert "lion" in facts["actors"]
    assert "drinking" in facts["actions"]
    assert len(facts["held_out_pairs"]) == 12
    assert "lion" in dln("data", "show", "menagerie", "-q").out.split()
    unknown = dln("data", "show", "menagery")
    assert unknown.code == 2
    assert "menagerie" in unknown.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from dln.cli.main import run

    path = tmp_path_factory.mktemp("data") / "clips"
    assert run(["data", "render", str(path), "--count", "2", "--size", "32", "-q"]) == 0
    return path


def test_data_render_and_check(dln, folder):
    assert len(list(folder.glob("*.mp4"))) == 2
    outcome = dln("data", "check", str(folder))
    assert outcome.code == 0
    assert "2 clips" in outcome.out
    shown = dln("data", "show", str(folder), "--json").json
    assert shown["clips"] == 2
    assert shown["words"]


def test_data_render_takes_width_by_height(dln, tmp_path):
    from dln.core.media.decode import probe

    assert dln("data", "render", "wide", "-n", "1", "--size", "64x36", "-q").code == 0
    assert probe(tmp_path / "wide" / "00000.mp4")[1:3] == (64, 36)


@pytest.mark.parametrize("text", ["", "x", "64x", "64x0", "-4x4", "64 by 36", "1x2x3", "999999"])
def test_a_size_is_two_sides_or_one(text):
    assert [size_of(each) for each in ("128x72", "64", "9X16")] == [(72, 128), (64, 64), (16, 9)]
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        size_of(text)


def test_data_check_of_tars(dln, folder):
    pytest.importorskip("webdataset")
    path = folder.parent / "s.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder / "00000.mp4", "a.mp4")
        tar.add(folder / "metadata.csv", "a.txt")
        tar.add(folder / "00001.mp4", "b.mp4")
    found = dln("data", "check", str(path), "--json").json
    assert (found["usable"], found["path"]) == (1, str(path))
    assert [problem["file"] for problem in found["problems"]] == ["s.tar:b"]
    assert dln("data", "show", str(path), "--json").json["clips"] == 1
    assert dln("data", "check", str(folder.parent / "gone.tar")).code == 1


def test_data_render_spares_what_is_there(dln, folder):
    outcome = dln("data", "render", str(folder))
    assert outcome.code == 2
    assert "--force" in outcome.err


def test_data_check_lists_problems(dln, tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,text\ngone.mp4,a lion\nbad.mp4,a cat\n")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    outcome = dln("data", "check", str(tmp_path), "--json")
    assert outcome.code == 1
    assert outcome.json["usable"] == 0
    assert {problem["file"] for problem in outcome.json["problems"]} == {"gone.mp4", "bad.mp4"}
    assert all({"file", "kind", "reason"} == set(p) for p in outcome.json["problems"])
    human = dln("data", "check", str(tmp_path))
    assert human.code == 1
    assert "gone.mp4" in human.out


@pytest.mark.parametrize(
    "args",
    [
        ["check", "nowhere"],
        ["check", "."],
        ["show", "nowhere"],
        ["render", "new", "--count", "0"],
        ["render", "new", "--size", "33"],
        ["render", "new", "--size", "64x8"],
        ["render", "new", "--size", "large"],
        ["render", "/dev/null/x"],
    ],
)
def test_data_mistakes(dln, args):
    outcome = dln("data", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert dln("data", *args, "--json").json["error"]["code"] == 2


def test_doctor(dln):
    found = dln("doctor", "--json").json
    names = {check["name"] for check in found["checks"]}
    assert {"python", "platform", "cores", "memory", "torch", "cuda", "accelerate"} <= names
    for check in found["checks"]:
        assert check["status"] in ("ok", "missing")
        assert check["status"] == "ok" or check["hint"]
    assert "python" in dln("doctor").out
    assert dln("doctor", "-q").out.splitlines() == found["missing"]


def test_doctor_without_anything(dln, monkeypatch):
    import importlib.metadata

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = dln("doctor", "--json")
    assert found.code == 0
    assert {"torch", "cuda", "accelerate", "onnxruntime", "tensorrt"} <= set(found.json["missing"])


def test_doctor_names_gpus(dln, monkeypatch):
    torch = ModuleType("torch")
    names = ["GPU A", "GPU B"]
    torch.version = ModuleType("version")  # type: ignore[attr-defined]
    torch.version.cuda = "13.0"  # type: ignore[attr-defined]
    torch.cuda = ModuleType("cuda")  # type: ignore[attr-defined]
    vars(torch.cuda).update(  # type: ignore[attr-defined]
        is_available=lambda: True, device_count=lambda: 2, get_device_name=names.__getitem__
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    checks = {check["name"]: check for check in dln("doctor", "--json").json["checks"]}
    assert checks["cuda"]["value"] == "13.0: GPU A, GPU B"


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


def test_evaluate_what_reads_no_prompt(dln, core, wordless):
    """One pass, since it has no pairs to hold out, against the data of its card or --data."""
    core.metrics = {"frechet_distance": 2.5}
    found = dln("evaluate", wordless, "--json")
    assert (found.json["metrics"], found.json["data"]) == (core.metrics, "menagerie")
    assert (found.json["notes"], found.err) == ([], "")
    assert dln("evaluate", wordless, "--data", "digits", "--json").json["data"] == "digits"
    assert [(asked["held_out"], asked["data"]) for asked in core.evaluations] == [
        (False, None), (False, "digits")
    ]  # fmt: skip
    for flag in ("--held-out", "--seen"):
        refused = dln("evaluate", wordless, flag)
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


def test_evaluate_a_file_against_a_folder(dln, folder):
    """Nothing stands in for anything: the few weights of a toy, and the folder's two clips."""
    weights = str(toy_export.weights())
    unknown = dln("evaluate", weights, "-n", "4")
    assert unknown.code == 2
    assert "does not say what it was trained on" in unknown.err
    found = dln("evaluate", weights, "-n", "4", "--data", str(folder), "--json").json
    assert (found["data"], found["metrics"]["count"]) == (str(folder), 4)
    assert found["metrics"]["frechet_distance"] is None
    assert "only 2 clips" in found["metrics"]["warning"]
    assert found["metrics"]["psnr_db"] > 0
    assert not [name for name in found["metrics"] if "accuracy" in name]
    named = dln("evaluate", weights, "-n", "4", "--data", "menagerie", "--seen", "--json").json
    assert named["metrics"]["frechet_distance"] > 0
    assert named["metrics"]["actor_accuracy"] is not None
