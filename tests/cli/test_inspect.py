"""models, data, doctor: lists and tables, for eyes and for programs."""

import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from dln.cli.options import size_of
from dln.core.errors import UsageError
from dln.core.models.registry import MODELS


def test_models_list(dln):
    outcome = dln("models", "list")
    assert "cogvideo" in outcome.out
    assert "arXiv:2205.15868" in outcome.out
    assert dln("models", "list", "--quiet").out.splitlines() == list(MODELS)
    entries = {entry["name"]: entry for entry in dln("models", "list", "--json").json["models"]}
    assert list(entries) == list(MODELS)
    assert {entries[name]["weights"] for name in ("cogvideo", "recognizer")} == {"bundled"}
    assert {entries[name]["weights"] for name in ("toy-gan", "vit")} == {"none"}
    makers = {name for name in entries if entries[name]["generates"]}
    assert {"cogvideo", "toy-gan"} <= makers <= entries.keys() - {"recognizer", "vit"}


def test_models_show(dln):
    shown = dln("models", "show", "cogvideo", "--json").json
    assert shown["title"] == MODELS["cogvideo"].title
    assert "text" in shown["takes"]
    assert "guidance" in [setting["name"] for setting in shown["settings"]]
    assert shown["card"]["model"] == "cogvideo"
    assert "--set top_p= " in dln("models", "show", "cogvideo").out
    bare = dln("models", "show", "toy-gan", "--json").json
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
    assert dln("data", "list", "-q").out == "menagerie\nvistas\ndigits\n"
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
        assert check["status"] in ("ok", "missing", "untrained")
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
