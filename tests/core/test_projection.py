"""A picture's latent is found again, the same for the same seed, and set in motion."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dln.core.errors import UsageError
from dln.core.models.request import Request
from dln.core.models.stylegan_v.sample import sample

from .toy_stylegan import Spy, frames_of, toy

MODEL = toy()
ASKED: dict[str, Any] = {"frames": 2, "motion_seed": 5}


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square, in levels."""
    return float(np.sqrt(np.square(first.astype(float) - second).mean()))


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame of the model's own, of another style."""
    path = tmp_path_factory.mktemp("landscape") / "given.png"
    Image.fromarray(frames_of(MODEL, seed=1, **ASKED)[0]).save(path)
    return path


def test_a_picture_is_found_and_goes_on(landscape: Path):
    told: list[tuple[int, int, str]] = []
    request = Request.of("", 7, {**ASKED, "image": str(landscape), "steps": 120})
    found = sample(Spy(MODEL), MODEL, request, lambda *now: told.append(now)).clip().frames
    wanted = np.asarray(Image.open(landscape))
    mean = frames_of(MODEL, **ASKED, truncation=0.0)[0]
    assert distance(found[0], wanted) < 0.35 * distance(mean, wanted)
    assert 0 < distance(found[1], found[0]) < distance(mean, wanted)
    assert told[:120] == [(step, 120, "steps") for step in range(1, 121)]
    assert told[-1] == (2, 2, "frames")


def test_the_search_is_the_same_for_the_same_seed(landscape: Path):
    spies = [Spy(MODEL) for _ in range(3)]
    for engine, seed in zip(spies, (7, 7, 8), strict=True):
        frames_of(MODEL, engine, seed=seed, **ASKED, image=str(landscape), steps=4)
    one, again, other = (engine.given("synthesis", "w") for engine in spies)
    assert one.equal(again)
    assert not one.equal(other)


def test_what_is_no_picture_is_said_before_the_search(tmp_path: Path):
    (tmp_path / "none.png").write_text("no picture")
    engine = Spy(MODEL)
    with pytest.raises(UsageError, match="cannot be read as an image"):
        frames_of(MODEL, engine, **ASKED, image=str(tmp_path / "none.png"))
