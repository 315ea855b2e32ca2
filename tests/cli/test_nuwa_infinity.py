"""Pictures of any size, around given ones, and in motion, through the console."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_export  # pyright: ignore[reportMissingImports]
from PIL import Image

from dln.core.media import encode, png
from dln.core.media.decode import read_all

Dln = Callable[..., Any]
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
MODEL = "--model"


@pytest.fixture(scope="module")
def weights() -> str:
    """A micro model's file, whose words are the menagerie's."""
    return str(toy_export.weights("nuwa-infinity"))


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def shown(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_wide_picture_and_its_receipt(dln: Dln, weights: str):
    made = dln("generate", "lion", MODEL, weights, "--size", "50x9", "-o", "wide.png", "-s", "4")
    assert made.code == 0, made.err
    assert shown("wide.png").shape == (9, 50, 3)
    assert dln("verify", "wide.png").code == 0
    other = dln("generate", "lion", MODEL, weights, "--size", "50x9", "-o", "b.png", "-s", "5")
    assert other.code == 0
    assert not np.array_equal(shown("wide.png"), shown("b.png"))
    assert dln("generate", MODEL, weights, "--size", "20x9", "-n", "2", "-s", "1").code == 0
    assert len(list(Path().glob("model-*.png"))) == 2
    assert (
        dln("generate", MODEL, weights, "--size", "20x9", "-n", "2", "--grid", "-s", "1").code == 0
    )


def test_a_picture_is_extended_and_proven(dln: Dln, weights: str, photo: str):
    line = [
        "generate",
        MODEL,
        weights,
        "--image",
        photo,
        "--extend",
        "left=3,down=5",
        "--seed",
        "1",
    ]
    assert dln(*line, "--out", "around.png").code == 0
    assert np.array_equal(shown("around.png")[:9, 3:], PIXELS)
    assert shown("around.png").shape == (14, 15, 3)
    assert dln("verify", "around.png").code == 0
    Path(photo).unlink()
    assert dln("verify", "around.png").code == 3


def test_a_picture_in_motion(dln: Dln, weights: str, photo: str):
    line = ["generate", MODEL, weights, "--image", photo, "--frames", "3", "--seed", "1", "--json"]
    (clip,) = dln(*line).json["clips"]
    assert clip["path"].endswith(".mp4")
    assert (clip["frames"], clip["height_px"], clip["width_px"], clip["fps"]) == (3, 9, 12, 5.0)
    assert len(read_all(Path(clip["path"]), None)[0]) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size", "0x9"], "a size is"),
        (["--size", "99999x99999"], "a size is"),
        (["--size", "16384x16384"], "too many"),
        (["--size", "9x9", "--fps", "3"], "without frames"),
        (["--extend", "left=3"], "there is none"),
        (["--image", "photo.png"], "more is made to its sides"),
        (["--image", "photo.png", "--extend", "left=0"], "by no pixel"),
        (["--image", "photo.png", "--extend", "left=3,left=4"], "each side once"),
        (["--image", "photo.png", "--extend", "top=3"], "each side once"),
        (["--image", "photo.png", "--extend", "left=-3"], "each side once"),
        (["--image", "photo.png", "--extend", ""], "an extension says"),
        (["--image", "photo.png", "--extend", "left=3", "--size", "9"], "their sum"),
        (["--image", "photo.png", "--extend", "left=16384,up=9"], "too many"),
        (["--image", "none.png", "--extend", "left=3"], "none.png"),
        (["--size", "9", "--set", "extend=3"], "--extend"),
        (["--class", "sea"], "leave --class out"),
        (["--last-image", "photo.png"], "leave --last-image out"),
    ],
)
@pytest.mark.usefixtures("photo")
def test_what_cannot_be_is_one_sentence(words: list[str], sentence: str, dln: Dln, weights: str):
    for line in (words, [*words, "--dry-run"]):
        made = dln("generate", MODEL, weights, *line, "--seed", "1", "--out", "wide.png")
        assert made.code == 2
        assert sentence in made.err.replace("\n", " ")
        assert not Path("wide.png").exists()


def test_others_take_no_extension(dln: Dln, photo: str):
    made = dln("generate", "lion", "--image", photo, "--extend", "left=3")
    assert made.code == 2
    assert "cogvideo takes no extension" in made.err


def test_a_disk_that_is_full_in_the_middle(dln: Dln, weights: str, monkeypatch):
    def full(path: Path, size: Any, bands: Any, notes: Any) -> None:
        path.write_bytes(png.SIGN)
        next(bands)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(encode, "write_png", full)
    made = dln("generate", MODEL, weights, "--size", "20x9", "--out", "wide.png", "--seed", "1")
    assert made.code == 1
    assert "disk full while writing" in made.err
    assert [path.name for path in Path().iterdir() if path.is_file()] == []


def test_its_pictures_are_measured(dln: Dln, weights: str):
    line = ["evaluate", weights, "--data", "menagerie", "-n", "4", "--size", "24x8", "--json"]
    found = dln(*line, "--metrics", "blocks").json["metrics"]
    assert (found["count"], found["blocks"]) == (4, 3)
    assert found["block_frechet_distance"] > 0
    assert found["seams"] > 0
    found = dln(*line, "--seen").json["metrics"]
    assert 0 <= found["actor_accuracy"] <= 1
    assert found["psnr_db"] > 0
    refused = dln("evaluate", "cogvideo", "--metrics", "blocks")
    assert refused.code == 2
    assert "no pictures of any size" in refused.err
