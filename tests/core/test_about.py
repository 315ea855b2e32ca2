"""What models say of themselves, and what they refuse, without PyTorch."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dln.core.errors import UsageError
from dln.core.models.about import About
from dln.core.models.locate import identify
from dln.core.models.registry import MODELS, find, scan
from dln.core.models.request import Request
from dln.core.models.settings import Settings, chosen, setting

HEAVY = ("torch", "numpy", "onnxruntime", "av")
LIGHT = [
    (["generate", "x", "--model", "nope"], 2, "no model, run or file named 'nope'"),
    (["generate", "lion", "--steps", "3"], 2, "cogvideo has no steps"),
    (["generate", "lion", "--set", "gidance=3"], 2, "Did you mean 'guidance'"),
    (["generate", "lion", "--set", "clusters=0"], 2, "clusters is at least 1"),
    (["generate", "lion", "--size", "64x36"], 2, "cogvideo takes no size"),
    (["generate", "lion", "--class", "cat"], 2, "cogvideo takes no class"),
    (["generate", "--model", "toy-gan", "--image", "x.png"], 2, "takes no picture"),
    (["generate", "--model", "toy-pieces", "--frames", "2"], 2, "makes no clips"),
    (["--version"], 0, "dln "),
    (["models", "list"], 0, "video-diffusion"),
    (["models", "show", "cogvideo"], 0, "guidance"),
]
# All in one process: what is heavy would still be there at the end.
RUN = """
import contextlib, io, json, sys
from dln.cli.main import run
told = []
for args in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run(args)
    heavy = [name for name in sys.argv[2:] if name in sys.modules]
    told.append([code, out.getvalue(), heavy])
print(json.dumps(told))
"""


def test_told_without_anything_heavy():
    lines = [args for args, _, _ in LIGHT]
    command = [sys.executable, "-c", RUN, json.dumps(lines), *HEAVY]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for (args, code, words), told in zip(LIGHT, json.loads(done.stdout), strict=True):
        assert told[0] == code, args
        assert words in told[1], args
        assert told[2] == [], args


@dataclass(frozen=True)
class Sampling(Settings):
    steps: int | None = setting(None, "how many", least=1)
    guidance: float = setting(2.0, "how hard", least=0, most=9)
    width: float = setting(1.0, "how wide", above=0)
    solver: str = setting("ddim", "which", choices=("ddim", "euler"))
    clean: bool = setting(True, "whether")


def test_settings_take_what_they_say():
    given = {"steps": 3, "guidance": 1, "solver": "euler", "clean": False}
    found = chosen("toy", Sampling, given)
    assert found == Sampling(steps=3, guidance=1, solver="euler", clean=False)
    assert chosen("toy", Sampling, {}) == Sampling()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"steps": 0}, "steps is at least 1, not 0"),
        ({"steps": 1.5}, "steps is a whole number, not 1.5"),
        ({"steps": True}, "steps is a whole number"),
        ({"guidance": "much"}, "guidance is a number, not 'much'"),
        ({"guidance": 9.1}, "guidance is at least 0 and at most 9"),
        ({"guidance": float("nan")}, "guidance is a finite number"),
        ({"guidance": None}, "guidance is a number"),
        ({"width": 0}, "width is above 0"),
        ({"solver": "heun"}, "solver is one of ddim, euler"),
        ({"clean": 1}, "clean is true or false"),
        ({"stpes": 3}, "toy has no stpes. Did you mean 'steps'"),
    ],
)
def test_settings_refuse_by_name(asked, words):
    with pytest.raises(UsageError, match=words):
        chosen("toy", Sampling, asked)


def test_what_a_model_has_no_use_for_is_refused_with_its_flag():
    about = About("toy", "Toy", "toys", ("tiny",), takes=("class",), gives="picture")
    about.check({"label": "lion"})
    for asked, flag in (({"image": "x.png"}, "--image"), ({"last_image": "x"}, "--last-image"),
                        ({"size": (4, 4)}, "--size"), ({"fps": 3.0}, "--fps")):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            about.check(asked)
        assert flag in (caught.value.hint or "")


def test_requests_come_back_from_their_flat_form():
    asked = {"frames": 3, "size": [36, 64], "image": "lion.png", "steps": 4, "guidance": 0.0}
    request = Request.of("lion", 7, asked)
    assert request.size == (36, 64)
    assert dict(request.settings) == {"steps": 4, "guidance": 0.0}
    assert Request.of("lion", 7, request.asked()) == request
    for wrong in ({"frames": 0}, {"frames": 2.5}, {"frames": True}, {"fps": 0}, {"fps": "8"},
                  {"fps": float("inf")}, {"size": [0, 4]}, {"size": [4]}, {"size": 64},
                  {"label": 3}):  # fmt: skip
        with pytest.raises(UsageError):
            Request.of("lion", 7, wrong)
    with pytest.raises(UsageError, match="seed"):
        Request(seed=-1)


def test_models_are_found_by_looking(tmp_path, monkeypatch: pytest.MonkeyPatch):
    assert {"cogvideo", "video-diffusion", "recognizer", "toy-gan"} <= set(MODELS)
    assert find("toy-gan").module == "toy_gan"
    with pytest.raises(UsageError, match="Did you mean 'cogvideo'"):
        find("cogvidoe")
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "__init__.py").touch()
    (tmp_path / "twin" / "about.py").write_text("from ..cogvideo.about import ABOUT\n")
    monkeypatch.setattr("dln.core.models.registry.places", [*places(), str(tmp_path)])
    monkeypatch.setattr("dln.core.models.__path__", [*places(), str(tmp_path)])
    with pytest.raises(UsageError, match="two models are named 'cogvideo'"):
        scan()


@pytest.mark.parametrize(
    ("folder", "text", "words"),
    [
        ("broken", "import nothing_there\n", "about.py cannot be loaded: ModuleNotFoundError"),
        ("broken2", "def\n", "about.py cannot be loaded: SyntaxError"),
        ("silent", "", "about.py cannot be loaded: AttributeError"),
        ("layers", "ABOUT = None\n", "cannot be loaded"),
        ("resnet", "ABOUT = None\n", "has the name of a folder of dln's own"),
    ],
)
def test_folders_that_are_no_models_are_named(tmp_path, monkeypatch, folder, text, words):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "about.py").write_text(text)
    monkeypatch.setattr("dln.core.models.registry.places", [*places(), str(tmp_path)])
    monkeypatch.setattr("dln.core.models.__path__", [*places(), str(tmp_path)])
    with pytest.raises(UsageError, match=words) as caught:
        scan()
    assert str(tmp_path / folder) in caught.value.message


def test_a_place_without_models(tmp_path, monkeypatch):
    for place in (tmp_path, tmp_path / "gone"):
        monkeypatch.setenv("DLN_MODELS", str(place))
        with pytest.raises(UsageError, match="no folder holds"):
            scan()


def test_a_place_named_twice_is_one(tmp_path, monkeypatch):
    systems = Path(__file__).parents[1] / "systems"
    monkeypatch.setenv("DLN_MODELS", f"{systems}{os.pathsep}{systems}/{os.pathsep}")
    assert scan().keys() == MODELS.keys()


def test_a_variance_is_of_the_ancestral_sampler():
    about = find("video-diffusion")
    about.check({"sampler": "ancestral", "variance": 0.9, "corrector": 0.1})
    for name in ("variance", "corrector"):
        with pytest.raises(UsageError, match=f"{name} is of another sampler"):
            about.check({name: 0.9, "sampler": "ddim"})


def places() -> list[str]:
    import dln.core.models

    return list(dln.core.models.__path__)


def test_a_file_is_identified_by_its_card(toy_weights, tmp_path):
    assert identify(str(toy_weights("toy-gan"))).name == "toy-gan"
    assert identify("cogvideo").name == "cogvideo"
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(Exception, match="damaged"):
        identify(str(tmp_path / "text.safetensors"))
