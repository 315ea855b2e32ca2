"""Large pictures block by block: generators that show real panoramas, and ones with faults."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import blocks as module
from dln.core.metrics import clips
from dln.core.metrics.blocks import blocks, cut, distance, gradients, seams, still
from dln.core.metrics.world import World
from dln.core.models.frechet import frechet_distance
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel

DATA, COUNT, SIZE = "vistas,camera=panorama", 6, (32, 96)
RNG = np.random.default_rng(0)


def loaded(**changes: Any) -> Loaded:
    about = replace(MODELS["nuwa-infinity"], takes=("size",), wordless=False, **changes)
    return Loaded(SystemModel(), about, {"data": {"name": DATA}}, "", Path("toy"), False)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Real ones, other than those that made ones are held against."""
    real = World(DATA, False).real(COUNT, 1, False)
    return [real.frames(n, np.zeros(1), 0.0, SIZE)[0][0] for n in range(COUNT)]


@pytest.fixture
def told(pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Any:
    """told(change) -> what is told of a generator whose pictures are these, changed by it."""

    def told(change: Any = lambda picture: picture) -> dict[str, Any]:
        def generate(loaded, request, **options):
            assert request.size == SIZE
            pixels = change(pictures[request.seed])
            return Generated(Clip(pixels[None], 1.0), {}, [], {"sample": 2.0})

        monkeypatch.setattr(clips, "generate", generate)
        monkeypatch.setattr(module, "load", lambda about: Patched())
        return blocks(loaded(), COUNT, settings={"size": SIZE})

    return told


class Patched:
    """A system whose patches are of 8 pixels."""

    def side(self, model: Any) -> int:
        return 8


def stepped(picture: np.ndarray) -> np.ndarray:
    """Every second patch a little lighter."""
    row, column = (np.arange(side) // 8 for side in picture.shape[:2])
    lighter = 12 * ((row[:, None] + column) % 2)[..., None]
    return np.clip(picture + lighter, 0, 255).astype(np.uint8)


def black_to_the_right(picture: np.ndarray) -> np.ndarray:
    return picture * (np.arange(picture.shape[1]) < 32)[:, None].astype(np.uint8)


def test_faults_are_seen_where_they_are(told):
    plain, with_seams, black = told(), told(stepped), told(black_to_the_right)
    assert (plain["count"], plain["blocks"], plain["height_px"], plain["width_px"]) == (
        COUNT, 3, *SIZE)  # fmt: skip
    assert plain["seconds_per_picture"] == 2.0
    assert plain["block_frechet_distance_low"] < plain["block_frechet_distance"]
    assert black["block_frechet_distance"] > 1.5 * plain["block_frechet_distance"]
    assert plain["block_frechet_distance_real"] < black["block_frechet_distance"]
    assert plain["seams"] == pytest.approx(plain["seams_real"], rel=0.4)
    assert with_seams["seams"] > 2 * plain["seams"]
    assert with_seams["seams_real"] == plain["seams_real"]
    assert "6 samples" in plain["warning"]


def test_the_distance_is_the_mean_of_the_blocks():
    made, real = RNG.normal(0, 1, (20, 2, 3)), RNG.normal(1, 2, (15, 2, 3))
    each = [frechet_distance(made[:, n], real[:, n]).distance for n in (0, 1)]
    assert distance(made, real) == pytest.approx(sum(each) / 2)


def test_a_picture_is_cut_from_its_top_left():
    picture = RNG.integers(0, 256, (300, 700, 3), np.uint8)
    parts = cut(picture)
    assert len(parts) == 2
    assert np.array_equal(parts[1], picture[:256, 256:512])
    assert [part.shape for part in cut(picture[:64])] == [(64, 64, 3)] * 10


def test_seams_are_one_where_nothing_is_special():
    slope = np.repeat(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], 3, axis=2)
    slope = np.repeat(slope, 32, axis=0)
    assert seams(gradients(slope, 16)[None]) == 1.0  # nothing changes downwards
    lighter = slope.copy()
    lighter[:, 16:] += 3  # one of four borders is twice as high
    assert seams(gradients(lighter, 16)[None]) == 1.25
    assert seams(gradients(slope[:16, :16], 16)[None]) is None
    assert seams(gradients(np.zeros((32, 32, 3), np.uint8), 16)[None]) is None


def test_a_detector_of_videos_sees_blocks_that_stand_still():
    def detector(seen: list[Clip], frames: int) -> np.ndarray:
        assert all((clip.frames == clip.frames[0]).all() for clip in seen)
        assert all(len(clip.frames) == frames >= 10 for clip in seen)
        return np.array([[clip.frames.mean()] for clip in seen])

    shades = [np.full((8, 8, 3), shade, np.uint8) for shade in (3, 200)]
    assert still(detector)(shades).tolist() == [[3.0], [200.0]]  # pyright: ignore


def test_who_makes_no_pictures_of_any_size():
    with pytest.raises(UsageError, match="no pictures of any size"):
        blocks(loaded(gives="clip"))
