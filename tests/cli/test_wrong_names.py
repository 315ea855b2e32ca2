"""A name that is wrong is told at once: PyTorch is not loaded for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dln.core.data import open_source
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import build
from dln.core.training.options import TrainOptions

# Command lines, and what is said of each.
WRONG = {
    ("generate", "lion", "-m", "cogvdeo"): "Did you mean 'cogvideo'",
    ("train", "cogvdeo"): "Did you mean 'cogvideo'",
    ("train", "resnet", "--preset", "resnet5"): "no preset 'resnet5'. Did you mean 'resnet50'",
    ("train", "cogvideo", "--stage", "keyframe"): "no stage 'keyframe'. Did you mean 'keyframes'",
    ("train", "cogvideo", "--steps", "imag=2"): "no stage 'imag'. Did you mean 'image'",
    ("train", "resnet", "--data", "menagrie"): "Did you mean 'menagerie'",
    ("train", "resnet", "--start-from", "runs/none"): "no model, run or file",
    ("train", "resnet", "--region", "norwya"): "norway",
    ("export", "cogvdeo"): "Did you mean 'cogvideo'",
    ("bench", "cogvdeo"): "Did you mean 'cogvideo'",
    ("evaluate", "cogvdeo"): "Did you mean 'cogvideo'",
    ("models", "show", "runs/none"): "no model, run or file",
    ("models", "rm", "runs/none"): "no model, run or file",
    ("carbon", "estimate", "--region", "norway", "--model", "vitt"): "Did you mean 'vit'",
    ("carbon", "estimate", "--region", "norway", "--model", "vit", "--preset", "smal"): "small",
    ("carbon", "audit", "--region", "norwya", "--", "true"): "norway",
}
CODE = """
import json, sys
from dln.cli.main import run
for argv in json.loads(sys.argv[1]):
    assert run(argv) == 2, argv
    assert "torch" not in sys.modules, argv
"""


def test_a_wrong_name_is_told_without_torch(tmp_path: Path) -> None:
    lines = json.dumps([[*line, "--json"] if "--" not in line else line for line in WRONG])
    done = subprocess.run(
        [sys.executable, "-c", CODE, lines], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", WRONG)
def test_what_is_told(dln, line: tuple[str, ...]) -> None:
    outcome = dln(*line)
    assert outcome.code == 2
    assert WRONG[line] in outcome.err


@pytest.mark.parametrize("name", [name for name, about in MODELS.items() if about.stages])
def test_the_stages_that_are_told_are_the_model_s(name: str) -> None:
    about, source = MODELS[name], open_source("menagerie", count=6)
    with torch.device("meta"):
        model = build(about, None, {}, source)
    stages = load(about).stages(model, source, TrainOptions(data="menagerie", seed=0))
    assert tuple(stage.name for stage in stages) == about.stages
