"""CogVideo whose frames become large, and the CogView2 in its file, through the console."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_export  # pyright: ignore[reportMissingImports]
from PIL import Image

from dln.core.media.clip import Clip
from dln.core.media.video import read_clip, write_clip
from dln.core.models.package import load_model
from dln.core.models.registry import MODELS

Dln = Callable[..., Any]


@pytest.fixture(scope="module")
def weights() -> str:
    """A micro model's file: 16 pixels, 48 in large frames."""
    return str(toy_export.weights("cogvideo large"))


@pytest.fixture(scope="module")
def small() -> str:
    """One without, as the weights that come along."""
    return str(toy_export.weights())


def test_frames_are_large_unless_told_and_are_verified(dln: Dln, weights: str):
    line = ["generate", "lion drinking", "--model", weights, "--seed", "4", "--frames", "6",
            "--native"]  # fmt: skip
    assert dln(*line, "--out", "large.png").code == 0
    assert dln(*line, "--set", "upsample=false", "--out", "small.png").code == 0
    large, little = (read_clip(name).frames for name in ("large.png", "small.png"))
    assert (large.shape, little.shape) == ((6, 48, 48, 3), (6, 16, 16, 3))
    assert dln("verify", "large.png").code == 0


def test_any_clip_is_made_large(dln: Dln, weights: str):
    frames = np.random.default_rng(0).integers(0, 256, (7, 20, 32, 3), dtype=np.uint8)
    frames[3] = frames[2]
    write_clip(Clip(frames, 10.0), "given.png", None, 1)
    line = ["generate", "lion drinking", "--model", weights, "--video", "given.png", "--native",
            "--seed", "4"]  # fmt: skip
    made = dln(*line, "--out", "large.png")
    assert made.code == 0, made.err
    clip = read_clip("large.png")
    assert (clip.frames.shape, clip.fps) == ((7, 48, 48, 3), 10.0)
    assert np.array_equal(clip.frames[3], clip.frames[2])
    assert not np.array_equal(clip.frames[4], clip.frames[3])
    assert dln("verify", "large.png").code == 0
    assert dln(*line, "--frames", "3", "--out", "three.png").code == 0
    assert np.array_equal(read_clip("three.png").frames, clip.frames[:3])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--video", "given.png", "--frames", "9"], "has 2 frames, not 9"),
        (["--video", "given.png", "--image", "given.png"], "leave --image out"),
        (["--video", "given.png", "--set", "upsample=false"], "leave --video out"),
        (["--video", "given.png", "--set", "top_p=0.5"], "leave top_p out"),
        (["--video", "none.mp4"], "none.mp4"),
        (["--set", "upsample=false", "--set", "still=2"], "leave still out"),
    ],
)
def test_what_does_not_go_together_is_refused(dln: Dln, weights: str, words, told):
    write_clip(Clip(np.zeros((2, 16, 16, 3), np.uint8), 8.0), "given.png", None, 1)
    made = dln("generate", "lion", "--model", weights, "--out", "a.png", *words)
    assert made.code == 2
    assert told in " ".join(made.err.split())
    assert not Path("a.png").exists()


@pytest.mark.parametrize(
    "words", [["--set", "upsample=true"], ["--set", "refine=false"], ["--video", "given.png"]]
)
def test_weights_without_it_say_so(dln: Dln, small: str, words):
    write_clip(Clip(np.zeros((2, 16, 16, 3), np.uint8), 8.0), "given.png", None, 1)
    made = dln("generate", "lion", "--model", small, "--out", "a.png", *words)
    assert made.code == 2
    assert "large" in made.err


def test_the_pictures_of_its_cogview2(dln: Dln, weights: str):
    """In a receipt by a name that leads back to it."""
    name = f"cogview2:{weights}"
    assert dln("generate", "lion drinking", "--model", name, "--out", "lion.png").code == 0
    with Image.open("lion.png") as picture:
        assert picture.size == (48, 48)
    assert dln("verify", "lion.png").code == 0
    whole, part = load_model(weights), load_model(name)
    assert (part.about.name, part.called) == ("cogview2", name)
    assert part.sha256 == whole.sha256
    ours, theirs = (each.model.state_dict() for each in (part, whole))
    assert {key: tensor.tolist() for key, tensor in ours.items()} == {
        key: theirs[key].tolist() for key in ours
    }


def test_its_words_for_pictures(dln: Dln, weights: str, small: str):
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save("dark.png")
    whole = dln("caption", "dark.png", "--model", weights)
    assert whole.code == 0, whole.err
    assert dln("caption", "dark.png", "--model", f"cogview2:{weights}").out == whole.out
    none = dln("caption", "dark.png", "--model", small)
    assert (none.code, "tells no captions" in none.err) == (2, True)


def test_a_film_of_its_pictures(dln: Dln, weights: str):
    Path("script.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nlion drinking\n")
    made = dln("film", "script.srt", "--model", f"cogview2:{weights}", "--out", "film.mp4",
               "--set", "upsample=false", "--fps", "4", "--every", "1")  # fmt: skip
    assert made.code == 0, made.err
    assert read_clip("film.mp4").frames.shape[0] == 8


def test_weights_that_hold_none_are_told(dln: Dln, small: str):
    made = dln("generate", "lion", "--model", f"cogview2:{small}", "--out", "a.png")
    assert made.code == 2
    assert "holds no cogview2" in made.err


def test_weights_that_come_along_are_its_own_where_they_hold_it(weights, monkeypatch):
    """And where they do not, as now, it comes without."""
    from dln.core.errors import MissingCapability
    from dln.core.models import locate

    with pytest.raises(MissingCapability, match="cogview2 comes without weights"):
        load_model("cogview2")
    monkeypatch.setattr(locate, "shipped", lambda name, file, hint: Path(weights))
    loaded = load_model("cogview2")
    assert (loaded.about, loaded.called, loaded.path) == (
        MODELS["cogview2"], "cogview2", Path(weights)
    )  # fmt: skip
