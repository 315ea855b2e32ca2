"""An environment without PyTorch: what it runs is the same clip, what it cannot is a sentence."""

import json
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from packaging.requirements import Requirement

sys.path.append(str(Path(__file__).parent))
from toy_export import exported, weights  # pyright: ignore[reportMissingImports]

from dln.cli.main import run
from dln.cli.pages import read_pages
from dln.core.errors import DlnError
from dln.export.engines import OnnxEngine
from dln.export.host_engine import HostEngine

LINE = re.compile(r"pip install --no-deps \. && pip install -c constraints\.txt ([\w ]+)")
DRIVER = """
import json, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))  # no import finds them
from dln.cli.main import run
from dln.cli.pages import read_pages
for argv in json.loads(sys.argv[2]):
    print(run(argv), file=sys.stderr, flush=True)
"""


@cache
def missing() -> list[str]:
    """The modules that the guide's line does not install, of all that are here."""
    found = LINE.search(read_pages()["export"])
    assert found
    left, kept = found[1].split(), {"dln", "onnxruntime-gpu"}  # where that serves for onnxruntime
    while left:
        kept.add(name := left.pop())
        wanted = map(Requirement, requires(name) or [] if name != "onnxruntime" else [])
        left += [w.name.lower().replace("_", "-") for w in wanted
                 if not w.marker or w.marker.evaluate({"extra": ""})]  # fmt: skip
        left = [other for other in left if other not in kept]
    there = packages_distributions().items()
    names = {module for module, owners in there
             if not {owner.lower().replace("_", "-") for owner in owners} & kept}  # fmt: skip
    assert {"torch", "onnx", "einops", "codecarbon"} <= names
    return sorted(names)


def light(tmp_path: Path, *lines: list[str]) -> tuple[str, str]:
    """Command lines one after the other in such an environment: stdout, and stderr with the exit
    code after each."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(missing()), json.dumps(lines)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(OnnxEngine, "take_threads", lambda engine, *_: None)


def same(tmp_path: Path, *asked: str) -> None:
    """A clip made without PyTorch is, byte for byte, the one that is made with it."""
    words, end = ["generate", "lion drinking", "--seed", "3", *asked], ["--native", "--quiet"]
    assert run([*words, "--engine", "onnx", "--out", str(tmp_path / "full.gif"), *end]) == 0
    _, told = light(tmp_path, [*words, "--out", "light.gif", *end])
    assert told.splitlines()[-1] == "0", told
    assert (tmp_path / "light.gif").read_bytes() == (tmp_path / "full.gif").read_bytes()


@pytest.mark.parametrize("more", [[], ["--guidance", "1", "--top-p", "0.5"]])
def test_cogvideo(tmp_path, more):
    model = ["--model", str(weights()), "--graphs", str(exported().folder)]
    same(tmp_path, *model, "--frames", "9", *more)


def test_video_diffusion(tmp_path):
    """The bundled weights and the graphs that come along with them, and given frames."""
    asked = ["generate", "cat", "-m", "video-diffusion", "--engine", "onnx", "--quiet"]
    assert run([*asked, "--out", str(tmp_path / "cat.png")]) == 0
    (folder,) = (tmp_path / "cache" / "dln" / "exports").iterdir()
    model = ["--model", "video-diffusion", "--graphs", str(folder)]
    same(tmp_path, *model, "--frames", "34", "--reconstruction", "0", "--steps", "3")


def test_what_takes_pytorch_says_so(tmp_path):
    """One sentence, the line that installs it, exit code 3; other commands work."""
    graphs = ["--graphs", str(exported().folder), "--model", str(weights())]
    lines = [
        ["generate", "lion drinking"],
        ["generate", "lion", *graphs, "--engine", "torch"],
        ["generate", "lion", *graphs, "--engine", "trt"],
        ["generate", "lion", *graphs, "--device", "cuda"],
        ["train", "resnet", "--dry-run"],
        ["export"],
        ["bench"],
        ["carbon", "estimate", "--region", "norway"],
        ["models", "list", "--quiet"],
        ["guide", "export", "--quiet"],
    ]
    _, told = light(tmp_path, *lines)
    assert re.findall(r"^\d+$", told, re.M) == ["3", "2", *["3"] * 6, "0", "0"], told
    assert "Traceback" not in told
    assert "none: PyTorch" not in told
    for words in ("PyTorch is not installed: without it", "TensorRT engine takes PyTorch",
                  "the device cuda takes PyTorch", "this takes PyTorch, which",
                  "dln bench takes PyTorch", "this takes codecarbon, which"):  # fmt: skip
        assert words in told, words
    assert told.count("pip install ") == 7


def test_numpy_s_engine_computes_the_same(tmp_path):
    """As the one that takes tensors, to the bit; an input too many or too few is named."""
    files = {"decode": exported().file("decode")}
    engine, ours = OnnxEngine(files, "cpu"), HostEngine(files, "cpu")
    indices = np.arange(8).reshape(2, 4)
    pixels = engine.run("decode", indices=torch.from_numpy(indices))["pixels"]
    found = ours.run("decode", indices=indices.astype(np.int32))["pixels"]
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, pixels.numpy())
    assert ours.providers() == {"decode": ["CPUExecutionProvider"]}
    assert set(ours.providers()["decode"]) <= set(onnxruntime.get_available_providers())
    with pytest.raises(DlnError, match="and its inputs differ: more"):
        ours.run("decode", indices=indices, more=indices)
