"""How fast clips change: generators that play real rides at other speeds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips
from dln.core.metrics.pace import (
    BINS,
    SPEEDS,
    against,
    lags,
    of_real,
    pace,
    plot_pace,
    rate,
    similarity,
)  # fmt: skip
from dln.core.metrics.world import Real, World
from dln.core.models.package import Loaded
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel

COUNT, FRAMES, FPS, DATA = 8, 61, 5.0, "vistas,camera=ride"
SIZE = (36, 64)


def loaded() -> Loaded:
    about = replace(MODELS["video-diffusion"], name="toy", takes=())
    return Loaded(SystemModel(), about, {"data": {"name": DATA}}, "", Path("toy"), False)


def told_of(monkeypatch: pytest.MonkeyPatch, film: Any, frames: int = FRAMES) -> dict[str, Any]:
    """What is told of a generator whose clip of each seed is film(seed)."""

    def generate(loaded, request, **options):
        return Generated(Clip(film(request.seed), FPS), {}, [], {"sample": 1.0})

    monkeypatch.setattr(clips, "generate", generate)
    return pace(loaded(), COUNT, settings={"frames": frames})


@pytest.fixture(scope="module")
def rides() -> Real:
    """The very clips that made ones are held against."""
    return World(DATA, False).excerpts(COUNT, 0, 2 * FRAMES, FPS)


def test_rides_at_another_speed_are_told_to_be_that_fast(rides, monkeypatch):
    for speed in (0.5, 1.0, 2.0):
        times = speed * np.arange(FRAMES) / FPS

        def film(seed: int, times: np.ndarray = times) -> np.ndarray:
            return rides.frames(seed, times, 2 * FRAMES / FPS, SIZE)[0]

        found = told_of(monkeypatch, film)
        assert found["pace"] == pytest.approx(speed, rel=0.15)
        same = {0.5: "half_speed", 1.0: "real", 2.0: "double_speed"}[speed]
        assert found["similarity_10s"] == pytest.approx(found[f"similarity_10s_{same}"], abs=0.02)
        assert found["curve"]["seconds"][-1] == (FRAMES - 1) / FPS
        assert "similarity_60s" not in found
    assert found["pace_low"] < found["pace"] < found["pace_high"]
    assert found["similarity_1s_low"] < found["similarity_1s"] < found["similarity_1s_high"]


def test_what_stands_still_is_slow_and_what_is_new_in_each_frame_is_fast(monkeypatch):
    rng = np.random.default_rng(0)
    still = told_of(monkeypatch, lambda seed: np.full((31, *SIZE, 3), 20 * seed, np.uint8), 31)
    assert still["pace"] < 0.6
    assert still["similarity_1s"] == 1
    blink = told_of(
        monkeypatch, lambda seed: rng.integers(0, 9, (31, 1, 1, 3), np.uint8) * np.uint8(30), 31
    )
    assert blink["pace"] > 1.6
    with pytest.raises(UsageError, match="single frame"):
        told_of(monkeypatch, lambda seed: np.zeros((1, *SIZE, 3), np.uint8), 1)


def test_similarity_counts_colours():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (3, 5, 7, 3), np.uint8)
    first, *others = (Counter(tuple(int(c / 256 * BINS) for c in pixel) for pixel in f)
                      for f in frames.reshape(3, -1, 3).tolist())  # fmt: skip
    expected = [(first & other).total() / 35 for other in others]
    assert similarity(frames).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("speed", [0.6, 1.0, 1.7])
def test_the_rate_of_a_known_law_is_found(speed):
    """Clips that forget half of what they showed in 8 seconds, at any speed."""
    seconds = lags(200, 4.0) / 4

    def law(times: np.ndarray) -> np.ndarray:
        return 0.2 + 0.8 * 0.5 ** (times / 8)

    real = {name: law(factor * seconds) for name, factor in SPEEDS.items()}
    assert rate(law(speed * seconds), real, seconds) == pytest.approx(speed, rel=0.02)
    assert rate(law(seconds), dict.fromkeys(SPEEDS, np.ones_like(seconds)), seconds) is None


def test_short_clips_of_the_data_leave_gaps(tmp_path):
    class Short:
        """Ends after two seconds."""

        def duration(self, number: int) -> float:
            return 2.0

        def __len__(self) -> int:
            return 4

        def frames(self, number, times, seconds, size):
            assert times.max() <= seconds <= 2
            return np.zeros((len(times), *size, 3), np.uint8), None

    seconds = lags(13, 5.0) / 5
    real = of_real(Short(), seconds, SIZE, lambda *_: None)  # pyright: ignore[reportArgumentType]
    found = against(np.ones((4, len(seconds))), real, seconds)
    assert found["similarity_1s_double_speed"] == 1
    assert found["pace"] is None
    curve = found["curve"]
    assert [at for at, y in zip(seconds, curve["double_speed"], strict=True) if y is None] == [
        at for at in seconds if at > 1
    ]
    plot_pace(tmp_path / "pace.png", [curve, curve])
    assert (tmp_path / "pace.png").read_bytes().startswith(b"\x89PNG")
