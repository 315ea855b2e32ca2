"""What a shell is told when somebody presses Tab, through the shell's own protocol."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, os, shlex, sys
from dln.cli.main import run
for line in sys.argv[1:]:
    words = shlex.split(line)
    count = len(words) - (0 if line.endswith(" ") else 1)
    os.environ |= {"COMP_WORDS": line, "COMP_CWORD": str(count)}
    try:
        run([])
    except SystemExit:
        pass
    print("--")
assert "torch" not in sys.modules
"""
# Lines as they are typed, and what is offered.
TYPED = {
    "dln mod": {"models"},
    "dln train cog": {"cogvideo", "cogview2"},
    "dln train cogvideo --preset ": {"tiny", "small", "paper"},
    "dln train --stage key cogvid": {"cogvideo"},
    "dln train cogvideo --stage key": {"keyframes"},
    "dln train nothing --preset ": set(),
    "dln train cogvideo --start-from re": {
        "recognizer",
        "recognizer-props",
        "recognizer-vistas",
        "resnet",
    },
    "dln train cogvideo --start-from ru": {"runs/mine"},
    "dln generate lion --model runs": {"runs/mine"},
    "dln generate --model vid": {"video-diffusion"},
    "dln models show sky": {"sky.safetensors"},
    "dln models rm ": {"runs/mine", "sky.safetensors"},
    "dln carbon estimate --region norw": {"norway"},
    "dln carbon estimate --region Norw": {"Norway"},
    "dln carbon estimate --model vit --preset mi": {"mini"},
    "dln carbon audit --region polan": {"poland"},
    "dln evaluate cogvideo --data v": {"vistas"},
    "dln export vide": {"video-diffusion"},
    "dln help models im": {"import"},
    "dln config show ev": {"evaluate"},
    "dln guide ap": {"api"},
}


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder: Path = tmp_path_factory.mktemp("typed")
    (folder / "runs" / "mine").mkdir(parents=True)
    (folder / "runs" / "mine" / "config.toml").touch()
    (folder / "sky.safetensors").touch()
    theirs = {name: value for name, value in os.environ.items() if name != "DLN_MODELS"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *TYPED], cwd=folder, capture_output=True, text=True,
        env=theirs | {"_DLN_COMPLETE": "complete_bash"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = [set(part.split()) for part in done.stdout.split("--\n")]
    return dict(zip(TYPED, parts, strict=False))


@pytest.mark.parametrize("line", TYPED)
def test_a_name_is_completed(offered: dict[str, set[str]], line: str) -> None:
    assert offered[line] == TYPED[line]
