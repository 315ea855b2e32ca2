"""Whether a clip goes on from the picture that it was given is seen in its frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.core.data.menagerie.source import Menagerie
from dln.core.generation.continued import watched
from dln.core.generation.generate import generate
from dln.core.media.clip import Clip
from dln.core.media.stream import Stream
from dln.core.models.package import load_model
from dln.core.models.request import Request

SIZE = 48


def scene(seed: int) -> np.ndarray:
    """Soft shapes of some size: uint8 (SIZE, SIZE, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def moved(picture: np.ndarray, count: int) -> np.ndarray:
    """The picture as its camera walks on: (count, SIZE, SIZE, 3)."""
    return np.stack([np.roll(picture, step // 2, axis=1) for step in range(count)])


def notes_on(frames: np.ndarray, first: Path | None, last: Path | None = None) -> list[str]:
    notes: list[str] = []
    image, end = (str(path) if path else None for path in (first, last))
    stream = watched(Stream.of(Clip(frames, 8.0)), image, end, notes.append)
    assert np.array_equal(stream.clip().frames, frames)
    return notes


@pytest.fixture
def given(tmp_path: Path):
    def save(pixels: np.ndarray) -> Path:
        path = tmp_path / "given.png"
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [5, 9, 40, 200])
def test_what_goes_on_is_not_blamed(given, seed, count):
    frames = moved(scene(seed), count)
    assert notes_on(frames, given(frames[0])) == []
    assert notes_on(frames, None, given(frames[-1])) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [5, 9, 40, 200])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_what_is_forgotten_is_said_once(given, seed, count, kept):
    """Even where the picture itself, or two frames of it, begin the clip."""
    own, flat = scene(seed), np.full((SIZE, SIZE, 3), 90, np.uint8)
    frames = np.stack([flat] * count)
    frames[:kept] = own
    (note,) = notes_on(frames, given(own))
    assert "given.png" in note
    if count > 5:  # less is left before a picture that a model's last frames are held to
        (note,) = notes_on(frames[::-1], None, given(own))
        assert "given.png" in note


def test_without_pictures_and_frames_nothing_is_said(given):
    frames = np.zeros((40, SIZE, SIZE, 3), np.uint8)
    assert notes_on(frames, None) == []
    assert notes_on(frames[:2], given(scene(0))) == []


@pytest.mark.parametrize("own", [True, False])
def test_the_bundled_model_knows_its_world_alone(given, own):
    if own:
        world = Menagerie(count=3, seed=5)
        picture = world.frames(1, np.array([0.0]), (64, 64))[0][0]
        prompt = world.caption(1, np.random.default_rng(0))
    else:
        picture = np.random.default_rng(8).integers(0, 256, (64, 64, 3)).astype(np.uint8)
        prompt = "lion drinking"
    asked = Request(prompt, 3, frames=5, image=str(given(picture)))
    notes = generate(load_model("cogvideo"), asked, device="cpu").notes
    assert bool(notes) is not own
