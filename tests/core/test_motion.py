"""How clips move: generators that film real vistas, and ones that break them in one way each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dln.core.data import open_source
from dln.core.data.vistas import truth
from dln.core.errors import UsageError
from dln.core.generation.generate import Generated
from dln.core.media.clip import Clip
from dln.core.metrics import clips
from dln.core.metrics.land import ENDS, land_stays, movement, outlines
from dln.core.metrics.motion import LEFT_OUT, flicker, hours_passed, motion, ratio, shimmer
from dln.core.metrics.outward import moved, outward
from dln.core.metrics.world import Real, World
from dln.core.models.package import Loaded
from dln.core.models.recognizer.judge import load_judge
from dln.core.models.registry import MODELS
from dln.core.models.system import SystemModel

COUNT, FRAMES, FPS = 12, 40, 1.25  # 32 seconds
DATA = "vistas,camera=still"
LANDS = open_source(DATA, count=12, seed=3).told_for(90.0)


def loaded(data: str = DATA, text: bool = False) -> Loaded:
    about = replace(MODELS["video-diffusion"], name="toy", takes=("text",) if text else ())
    card = {"data": {"name": data}}
    return Loaded(SystemModel(), about, card, "", Path("toy.safetensors"), False)


@pytest.fixture(scope="module")
def films() -> list[np.ndarray]:
    """The very clips that made ones are held against."""
    real, times = World(DATA, False).excerpts(COUNT, 0, FRAMES, FPS), np.arange(FRAMES) / FPS
    return [real.frames(n, times, FRAMES / FPS, (64, 64))[0] for n in range(COUNT)]


def broken(monkeypatch: pytest.MonkeyPatch, films: list[np.ndarray], how: Any) -> dict[str, Any]:
    """What is told of a generator whose clips are those, each changed by how(films, number)."""

    def generate(loaded, request, **options):
        assert request.frames == FRAMES
        return Generated(Clip(how(films, request.seed), FPS), {}, [], {"sample": 2.0})

    monkeypatch.setattr(clips, "generate", generate)
    return motion(loaded(), COUNT, settings={"frames": FRAMES})


def as_they_are(films: list[np.ndarray], number: int) -> np.ndarray:
    return films[number]


def with_another_land(films: list[np.ndarray], number: int) -> np.ndarray:
    half = FRAMES // 2
    return np.concatenate([films[number][:half], films[(number + 1) % COUNT][half:]])


def backwards(films: list[np.ndarray], number: int) -> np.ndarray:
    return films[number][::-1].copy()


def flickering(films: list[np.ndarray], number: int) -> np.ndarray:
    other = 12 * (np.arange(FRAMES) % 2)[:, None, None, None]
    return np.clip(films[number] + other, 0, 255).astype(np.uint8)


def test_real_clips_move_as_real_ones(films, monkeypatch):
    found = broken(monkeypatch, films, as_they_are)
    for name in ("land_stays", "hour_forward"):
        assert found[name] == found[f"{name}_real"] >= 0.9
        assert found[f"{name}_low"] < found[name] <= found[f"{name}_high"]
    for name in ("brightness_flicker", "pixel_flicker"):
        assert found[name] == 1
        assert found[f"{name}_low"] < 1 < found[f"{name}_high"]
    assert (found["count"], found["frames"], found["seconds_per_clip"]) == (COUNT, FRAMES, 2.0)
    assert found["recognizer_sha256"] == load_judge("vistas").sha256
    assert "left_out" not in found


def test_what_is_wrong_shows_alone(films, monkeypatch):
    monkeypatch.setattr(Real, "frames", lambda real, number, *asked: (films[number], None))
    jumps = broken(monkeypatch, films, with_another_land)
    assert jumps["land_stays"] < 0.1 < 0.9 <= jumps["land_stays_real"]
    back = broken(monkeypatch, films, backwards)
    assert back["land_stays"] == back["land_stays_real"]
    assert back["hour_forward"] == 1 - back["hour_forward_real"] <= 0.1
    assert back["brightness_flicker"] == pytest.approx(1)
    shaky = broken(monkeypatch, films, flickering)
    assert shaky["brightness_flicker_low"] > 1.2
    assert shaky["pixel_flicker_low"] > 1.2
    assert min(shaky["land_stays"], shaky["hour_forward"]) >= 0.9


def test_land_that_moves_is_seen_to_move_as_far():
    """By day and by night, whose pictures were taken at other hours and moved."""
    dark, right = [], []
    for number in range(12):
        start = np.random.default_rng(number).uniform(0, 40, 2)
        ends = [LANDS.frames(number, at + np.arange(ENDS) / 4, (64, 64))[0] for at in start]
        told = truth(LANDS.vista(number), "still", start, (64, 64))  # pyright: ignore
        dark.append("night" in told.times_of_day)
        assert np.ptp(told.ridge, axis=0).max() == 0
        first, last = map(outlines, ends)
        for down in (0, 2, 3, 5):
            moved, _ = movement(first[: len(first) - down], last[down:])
            right.append(abs(moved - down) <= 0.5)
    assert 2 <= sum(dark) <= 10
    assert np.mean(right) > 0.95


def test_only_what_stays_within_two_pixels_stays():
    film = LANDS.frames(0, np.arange(2 * ENDS) / 4, (80, 80))[0]
    for down, stays in ((0, True), (2, True), (4, False)):  # 1.6 and 3.2 rows of 64
        ends = film[:ENDS, down:], film[ENDS:, : 80 - down]
        assert land_stays(np.concatenate(ends)) is stays


class Clock:
    """A judge that is as sure as is said of hours that are said."""

    def __init__(self, hours: np.ndarray, sure: np.ndarray) -> None:
        self.hours, self.sure = hours, sure

    def each_frame(self, frames: np.ndarray) -> dict[str, torch.Tensor]:
        moments = frames[:, 0, 0, 0]
        odds = np.full((len(moments), 24), 1e-9)
        for row, moment in enumerate(moments):
            odds[row] += (1 - self.sure[moment]) / 24
            odds[row, int(self.hours[moment]) % 24] += self.sure[moment]
        return {"hour": torch.from_numpy(odds).log()}


def test_hours_pass_midnight_and_guesses_do_not_count():
    frames = np.arange(64, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    hours, sure = 20 + np.arange(64) // 8, np.ones(64)
    steps = 15  # from one pair of the 32 moments to the next
    assert hours_passed(Clock(hours, sure), frames) * steps == pytest.approx(7, abs=0.6)
    assert hours_passed(Clock(hours[::-1], sure), frames) * steps == pytest.approx(-7, abs=0.6)
    guesses = hours.copy()
    guesses[24:40] = 40 - np.arange(16)
    sure[24:40] = 0.02
    assert hours_passed(Clock(guesses, sure), frames) > 0
    assert hours_passed(Clock(hours, np.zeros(64)), frames) == pytest.approx(0, abs=1e-6)


def test_shimmer_is_that_of_the_still_quarter():
    frames = np.zeros((3, 2, 4, 3), np.uint8)
    frames[1, :, :3] = 200  # moves
    frames[1, 0, 3] = [3, 0, 0]  # one colour of three, there and back
    assert shimmer(frames) == pytest.approx((0 + 1) / 2)
    assert shimmer(np.full((4, 3, 3, 3), 7, np.uint8)) == 0


def test_real_clips_of_the_menagerie_are_still_where_nothing_moves():
    source = open_source("menagerie", count=4, seed=5)
    times = np.arange(0, 4, 1 / 8)
    assert max(shimmer(source.frames(n, times, (64, 64))[0]) for n in range(4)) == 0


def test_flicker_by_hand():
    levels = np.array([10, 12, 10, 16], np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (4, 2, 2, 3)).copy()
    assert flicker(frames) == (6, 6)  # second differences -4 and 8
    frames[:, :1] = 100  # of half of the picture
    assert flicker(frames) == (3, 3)
    steady = (5 * np.arange(9, dtype=np.uint8))[:, None, None, None].repeat(3, axis=3)
    assert flicker(steady) == (0, 0)


def test_strips_are_found_again_by_hand():
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (8, 80)).astype(np.float32)
    assert moved(wide[:, 10:70], wide[:, 8:68], 20, 15, 6) == pytest.approx(2, abs=0.3)
    assert moved(wide[:, 10:70], wide[:, 10:70], 20, 15, 6) == pytest.approx(0, abs=0.3)
    assert moved(wide[:, 10:70], wide[:, 16:76], 20, 15, 6) == -6


def test_what_is_near_moves_outward_in_rides_alone():
    times, size = np.arange(16) / 8, (36, 64)
    rides = open_source("vistas,camera=ride", count=6, seed=7)
    filmed = [rides.frames(n, times, size)[0] for n in range(6)]
    assert min(map(outward, filmed)) > 0
    assert max(outward(frames[::-1]) for frames in filmed) < 0
    assert abs(np.mean([outward(LANDS.frames(n, times, size)[0]) for n in range(4)])) < 0.05


def test_a_ratio_of_nothing_and_of_few():
    assert ratio("x", [1.0, 2.0], [0.0, 0.0]) == {"x": None}
    assert ratio("x", [1.0], []) == {"x": None}
    assert ratio("x", [1.0, 2.0, 3.0], [1.0] * 3) == {"x": 2, "x_low": None, "x_high": None}
    rng = np.random.default_rng(0)
    means = [rng.normal(10, 2, 40).mean() / rng.normal(5, 1, 40).mean() for _ in range(500)]
    found: Any = ratio("x", list(rng.normal(10, 2, 40)), list(rng.normal(5, 1, 40)))
    assert found["x_high"] - found["x_low"] == pytest.approx(2 * 1.96 * np.std(means), rel=0.3)


@pytest.mark.parametrize("data", ["menagerie", "vistas,camera=ride"])
def test_elsewhere_only_flicker_is_told(monkeypatch, data):
    frames = np.random.default_rng(0).integers(0, 255, (32, 16, 16, 3)).astype(np.uint8)
    monkeypatch.setattr(clips, "generate", lambda *a, **o: Generated(Clip(frames, 8.0), {}))
    found = motion(loaded(data, text=data == "menagerie"), 2, settings={"frames": 32})
    assert found["left_out"] == LEFT_OUT
    assert found["pixel_flicker"] > 5
    assert ("outward" in found) == data.endswith("ride")
    assert not [name for name in found if name.startswith(("land", "hour"))]


def test_what_does_not_move_long_enough_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="20 are too few"):
        motion(loaded(), 2, settings={"frames": 20})
    pictures = replace(loaded(), about=replace(loaded().about, gives="picture"))
    with pytest.raises(UsageError, match="makes pictures"):
        motion(pictures, 2)
    short = Clip(np.zeros((4, 8, 8, 3), np.uint8), 8.0)
    monkeypatch.setattr(clips, "generate", lambda *a, **o: Generated(short, {}))
    with pytest.raises(UsageError, match="4 are too few"):
        motion(loaded("menagerie", text=True), 2)
