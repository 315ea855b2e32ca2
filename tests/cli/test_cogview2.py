"""Pictures and regions of them through the console."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_export  # pyright: ignore[reportMissingImports]
from PIL import Image

Dln = Callable[..., Any]


@pytest.fixture(scope="module")
def weights() -> str:
    """A micro model's file, whose words are the menagerie's: 16 pixels, 48 in the large picture."""
    return str(toy_export.weights("cogview2"))


def shown(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_picture_then_a_region_of_it(dln: Dln, weights: str):
    """Outside of the region the second png has the first one's pixels, and both are proven by what
    their receipts say."""
    line = ["generate", "lion drinking", "--model", weights, "--seed", "4"]
    made = dln(*line, "--out", "lion.png")
    assert made.code == 0, made.err
    before = shown("lion.png")
    assert before.shape == (48, 48, 3)
    filled = dln(*line, "--image", "lion.png", "--set", "mask=3,9,30,25", "--out", "other.png")
    assert filled.code == 0, filled.err
    after, inside = shown("other.png"), np.zeros((48, 48), bool)
    inside[9:25, 3:30] = True
    assert np.array_equal(after[~inside], before[~inside])
    assert not np.array_equal(after[inside], before[inside])
    assert dln("verify", "lion.png").code == 0
    assert dln("verify", "other.png").code == 0


def test_small_pictures_and_several(dln: Dln, weights: str):
    line = ["generate", "lion", "--model", weights, "--set", "upsample=false"]
    assert dln(*line, "-n", "2", "--seed", "1").code == 0
    assert [shown(path).shape for path in Path().glob("lion-*.png")] == [(16, 16, 3)] * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "mask=1,2,3,4"], "there is none"),
        (["--image", "lion.png"], "mask=LEFT,TOP,RIGHT,BOTTOM"),
        (["--image", "lion.png", "--set", "mask=0,0,99,4"], "beyond the picture of 20 x 10"),
        (["--image", "lion.png", "--set", "mask=0,0,15,4"], "too long"),
        (["--image", "lion.png", "--set", "mask=[0,0,4,4]"], "a word"),
        (["--frames", "3"], "makes no clips"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(dln: Dln, weights: str, words, told):
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save("lion.png")
    made = dln("generate", "lion", "--model", weights, "--out", "a.png", *words)
    assert made.code == 2
    assert told in made.err.replace("\n", " ")
    assert not Path("a.png").exists()
