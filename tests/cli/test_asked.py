"""What is said before anything is loaded or made, by a dry run as by the run itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.cli.places import file_named
from dln.core.errors import UsageError
from dln.core.files import claimed

ORIGIN = Path(__file__).parents[2]


def picture(name: str = "given.png") -> str:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(name)
    return name


def damaged(name: str, size: int) -> str:
    """The first bytes of a picture."""
    Path(name).write_bytes(Path(picture()).read_bytes()[:size])
    return name


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--image", "none.png"), 2, "none.png cannot be read as an image"),
        (("--image", "cut.png"), 2, "cut.png cannot be read as an image"),
        (("--image", "folder"), 2, "folder cannot be read as an image"),
        (("--image", "words.png"), 2, "words.png cannot be read as an image"),
        (("--last-image", "given.png"), 2, "takes no last picture"),
        (("-m", "video-diffusion", "--last-image", "none.png"), 2, "none.png cannot be read"),
        (("-m", "video-diffusion", "--last-image", "given.png", "--frames", "7"), 2, "has 32 fr"),
        (("-m", "video-diffusion", "--image", "given.png", "--engine", "onnx"), 3, "gradients"),
        (("-m", "video-diffusion", "--frames", "99", "--engine", "onnx"), 3, "gradients"),
        (("--frames", "34"), 2, "at most 33 frames"),
        (("--device", "cuda:77"), 3, "no device cuda:77"),
        (("--fps", "1e9", "-o", "a.webm"), 2, "--fps"),
        (("--fps", "51", "-o", "a.gif"), 2, "a gif has from 0.01 to 50"),
        (("-m", "resnet"), 2, "makes no clips"),
        (("-m", "none"), 2, "no model, run or file"),
        (("-m", "cut.safetensors"), 1, "cut.safetensors is damaged"),
        (("-o", ".mp4"), 2, "an ending without a name"),
        (("-o", "sub/.GIF"), 2, "an ending without a name"),
        (("--engine", "onnx", "--graphs", "folder"), 2, "folder"),
    ],
)
def test_a_dry_run_says_what_the_run_says(dln, args, code, words):
    damaged("cut.png", 70)
    Path("folder").mkdir()
    Path("words.png").write_text("no picture")
    weights = ORIGIN / "core" / "weights" / "cogvideo-tiny.safetensors"
    Path("cut.safetensors").write_bytes(weights.read_bytes()[:-1])
    before = sorted(os.listdir())
    said = [dln("generate", "lion drinking", "-s", "1", *args, *dry)
            for dry in ([], ["--dry-run"])]  # fmt: skip
    assert said[0] == said[1]
    assert (said[0].code, said[0].out) == (code, "")
    assert words in said[0].err
    assert sorted(os.listdir()) == before


def test_a_dry_run_of_what_can_be_done(dln):
    for args in (("--image", picture()), ("--fps", "0.01"), ("--fps", "50", "-o", "a.gif")):
        assert dln("generate", "lion drinking", *args, "--dry-run").code == 0
    assert os.listdir() == ["given.png"]


def test_names_of_nothing_are_told_without_pytorch(tmp_path):
    lines = [
        ["generate", "lion", "--image", "none.png"],
        ["generate", "lion", "-m", "none"],
        ["generate", "xyzzy"],
        ["evaluate", "none"],
        ["evaluate", "none", "--metrics", "sharpness"],
        ["evaluate", "resnet"],
        ["export", "none", "--force"],
        ["export", "none", "--readiness"],
        ["bench", "none"],
        ["bench", "resnet"],
        ["bench", "none", "--against", "sgd"],
        ["train", "resnet", "--start-from", "none"],
        ["models", "show", "none"],
    ]
    code = (
        "import sys\nfrom dln.cli.main import run\n"
        f"codes = [run(line) for line in {lines}]\n"
        "print(codes, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=tmp_path, check=True)  # fmt: skip
    codes = [3 if line[1] == "resnet" and line[0] != "train" else 2 for line in lines]
    assert done.stdout == f"{codes} False\n"
    assert done.stderr.count("error: ") == len(lines)


def test_one_run_at_a_time_writes_a_file(dln, core):
    with claimed(Path("a.mp4")):
        for flags in ([], ["--force"]):
            refused = dln("generate", "lion", "-s", "1", "-o", "a.mp4", *flags)
            assert refused.code == 2
            assert "another dln is writing a.mp4" in refused.err
        assert dln("generate", "lion", "-s", "1", "-o", "b.mp4").code == 0
    assert core.requests[0].seed == 1
    assert dln("generate", "lion", "-s", "1", "-o", "a.mp4").code == 0
    assert sorted(os.listdir()) == ["a.mp4", "b.mp4"]


def test_a_failed_run_leaves_no_folder(dln, core):
    core.raises = UsageError("no")
    assert dln("generate", "lion", "-o", "new/").code == 2
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("..", "is a folder"),
        (".", "is a folder"),
        ("", "is a folder"),
        ("/", "is a folder"),
        ("new/", "is a folder"),
        ("there", "is a folder"),
        (".png", "ending without a name"),
        ("new/.PNG", "ending without a name"),
        ("a.txt", "does not end with .png"),
        ("a", "does not end with .png"),
        ("a\n.png", "no name for a file"),
        ("a" * 300 + ".png", "at most 255 bytes"),
    ],
)
def test_a_file_to_write_has_a_name(dln, tmp_path, out, words):
    Path("there").mkdir()
    with pytest.raises(UsageError, match=words):
        file_named(out, ".png")
    refused = dln("evaluate", "cogvideo", "--metrics", "sharpness", "-o", out)
    assert refused.code == 2
    assert words in refused.err


def test_a_good_name_is_taken():
    assert file_named("new/a.PNG", ".png") == Path("new/a.PNG")
    assert file_named("a.json") == Path("a.json")
