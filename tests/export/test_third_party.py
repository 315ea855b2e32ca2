"""A clip from an exported folder by programs that know nothing of dln, and what they read there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageSequence

sys.path.append(str(Path(__file__).parent))
from toy_export import exported, loaded

from dln.core.generation.generate import generate
from dln.core.models.registry import MODELS
from dln.core.models.request import Request
from dln.core.text.vocabulary import normalise
from dln.export.description import SPLIT
from dln.export.manifest import FILE, read_manifest
from dln.export.sampling import prompts_for

SCRIPTS = Path(__file__).parent / "third_party"
# Runs a script as `python SCRIPT ...`, and sees that it did without what it should not need.
ALONE = """
import runpy, sys
script, *sys.argv[1:] = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
assert not {"torch", "dln", "onnx"} & set(sys.modules)
"""


def made(script: str, folder: Path, prompt: str, seed: int, out: Path) -> np.ndarray:
    """uint8 (T, H, W, 3): what the script makes of an export, in a process of its own."""
    words = [str(SCRIPTS / script), str(folder), prompt, str(seed), str(out)]
    env = {"PATH": os.environ["PATH"], "ORT_DISABLE_TELEMETRY": "1"}
    subprocess.run([sys.executable, "-I", "-c", ALONE, *words], check=True, env=env)
    with Image.open(out) as file:
        return np.stack([np.array(each.convert("RGB")) for each in ImageSequence.Iterator(file)])


def levels_apart(first: np.ndarray, second: np.ndarray) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second).max())


@pytest.mark.parametrize("name", ["cogvideo", "video-diffusion"])
def test_a_program_of_150_lines_makes_the_clip_of_seed_0(name, tmp_path):
    script = f"{name.replace('-', '_')}.py"
    lines = (SCRIPTS / script).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 150
    toy = loaded(name)
    prompt = prompts_for(toy, 1)[0]
    folder = exported(name).copy(tmp_path / "elsewhere")
    found = made(script, folder, f"{prompt.upper()}, zzz!", 0, tmp_path / "clip.png")
    expected = generate(toy, Request(prompt, seed=0), device="cpu").clip
    assert levels_apart(found, expected.frames) <= 1
    assert levels_apart(found, np.full_like(found, 128)) > 20
    told = read_manifest(folder)["description"]["loop"]["clip"]
    assert told["fps"] == expected.fps
    assert (told["frames"], *told["size"], 3) == expected.frames.shape


def test_the_manifest_knows_the_base_beside_its_twin(tmp_path):
    """Its own steps, sampler and guidance, where they stand in for the distilled ones."""
    toy = loaded("video-diffusion")
    folder = exported("video-diffusion").copy(tmp_path / "export")
    manifest: Any = json.loads((folder / FILE).read_text())
    loop = manifest["description"]["loop"]
    assert [stage["graph"] for stage in loop["stages"]] == ["fast", "upsample"]
    loop["stages"][0] = loop["base"]
    (folder / FILE).write_text(json.dumps(manifest))
    prompt = prompts_for(toy, 1)[0]
    found = made("video_diffusion.py", folder, prompt, 3, tmp_path / "clip.png")
    guided = Request(prompt, 3, settings={"guidance": toy.model.config.guidance})
    assert levels_apart(found, generate(toy, guided, device="cpu").clip.frames) <= 1


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_manifest_says_what_goes_in_and_comes_out(name):
    folder, toy = exported(name).folder, loaded(name)
    manifest = read_manifest(folder)
    for entry in manifest["graphs"].values():
        session = onnxruntime.InferenceSession(str(folder / entry["file"]))
        for side, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            told = [
                (each["name"], f"tensor({each['type']})", each["shape"]) for each in entry[side]
            ]
            assert told == [(value.name, value.type, value.shape) for value in values]
    told = manifest["description"]
    assert told["card"] == toy.card
    assert set(told["config"]) == set(vars(toy.model.config))
    reader = toy.model.reader
    assert (told["text"] or {}).get("words") == (reader and reader.words)
    assert (told["frames"] is None) == (toy.about.gives is None)


@pytest.mark.parametrize("name", ["recognizer", "resnet", "vit"])
def test_the_manifest_names_the_classes(name):
    told = read_manifest(exported(name).folder)
    (entry,) = told["graphs"].values()
    classes = told["description"]["loop"]["classes"]
    assert {each["name"]: each["shape"][-1] for each in entry["outputs"]} == {
        head: len(names) for head, names in classes.items()
    }
    assert told["description"]["loop"]["pixels"]["input"] == entry["inputs"][0]["name"]
    assert len(told["description"]["loop"]["pixels"]["axes"]) == len(entry["inputs"][0]["shape"])


def test_prompts_are_split_as_is_said():
    """By the words in the manifest alone."""
    import re

    for text in ("A lion, drinking!", "Ёжик пьёт", "the cat's well-known sofa_2 -x- 'y'"):
        lower = text.lower()
        for letter, other in SPLIT["replace"].items():
            lower = lower.replace(letter, other)
        assert re.findall(SPLIT["pattern"], lower) == normalise(text)
