"""The vistas: frames that depend on their country, camera and moment alone, and what is true."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.data.vistas import (
    CAMERAS,
    SEASONS,
    TIMES,
    WEATHERS,
    Vista,
    draw_vista,
    elevation,
    frames,
    panorama,
    places_of,
    truth,
)
from dln.core.data.vistas.road import position

SEEDS = st.integers(0, 2**63 - 1)
CAMERA = st.sampled_from(CAMERAS)
SECONDS = st.floats(-1e6, 1e6)


def change(one: np.ndarray, other: np.ndarray) -> int:
    """The largest, in levels."""
    return int(np.abs(one.astype(int) - other).max())


def film(vista: Vista, camera: str, *times: float, size=(36, 48)) -> np.ndarray:
    return frames(vista, camera, np.array(times), size)


@given(SEEDS, CAMERA)
def test_a_seed_draws_one_country(seed, camera):
    vista = draw_vista(seed, camera)
    assert vista == draw_vista(seed, camera)
    assert vista.place in places_of(camera)
    assert (vista.way == "river") == (vista.place == "river")


@given(SEEDS, CAMERA, st.sampled_from(SEASONS), st.sampled_from(WEATHERS), st.sampled_from(TIMES))
def test_what_is_pinned_is_kept(seed, camera, season, weather, time):
    vista = draw_vista(seed, camera, time, season=season, weather=weather)
    assert (vista.season, vista.weather) == (season, weather)
    assert vista.time_of_day(2.0) == time
    assert draw_vista(seed, camera, 7.5).hour == 7.5


@pytest.mark.parametrize(
    ("camera", "pinned", "named"),
    [("still", {"place": "river"}, "no place 'river'"), ("ride", {"place": "lake"}, "no place"),
     ("kite", {}, "no camera 'kite'"), ("still", {"weather": "hail"}, "choose from clear"),
     ("still", {"hour": "tea"}, "no hour 'tea'"), ("ride", {"actor": "lion"}, "has no 'actor'")],
)  # fmt: skip
def test_what_there_is_not_is_named(camera, pinned, named):
    with pytest.raises(ValueError, match=named):
        draw_vista(0, camera, **pinned)


def test_everything_is_drawn():
    for camera in CAMERAS:
        drawn = [draw_vista(seed, camera) for seed in range(600)]
        assert {vista.place for vista in drawn} == set(places_of(camera))
        assert {vista.season for vista in drawn} == set(SEASONS)
        assert {vista.weather for vista in drawn} == set(WEATHERS)
        assert {vista.time_of_day(2.0) for vista in drawn} == set(TIMES)


@given(SEEDS, CAMERA, st.lists(SECONDS, min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_batch_is_its_single_frames(seed, camera, times):
    vista = draw_vista(seed, camera)
    together = film(vista, camera, *times)
    assert together.dtype == np.uint8
    for time, frame in zip(times, together, strict=True):
        assert np.array_equal(film(vista, camera, time)[0], frame)


@given(SEEDS, CAMERA, st.integers(1, 40), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_any_shape(seed, camera, height, width):
    made = film(draw_vista(seed, camera), camera, 0.0, 1.5, size=(height, width))
    assert made.shape == (2, height, width, 3)


@given(SEEDS, st.integers(-(10**8), 10**8), st.integers(0, 60), st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_a_part_of_a_panorama_is_the_whole_there(seed, left, right, top):
    """Also a million pictures away from the country's middle."""
    vista = draw_vista(seed, "panorama")
    whole = panorama(vista, (40, 100), left)
    part = panorama(vista, (20, 40), left + right, top, whole=40)
    assert np.array_equal(part, whole[top : top + 20, right : right + 40])


def test_a_country_goes_on():
    vista = draw_vista(3, "panorama", "day", place="mountains")
    pieces = [panorama(vista, (48, 64), 64 * far) for far in (0, 7, 5000, 10**7)]
    assert all(change(a, b) > 60 for a, b in pairwise(pieces))


@pytest.mark.parametrize("camera", ["still", "ride"])
def test_a_picture_of_half_the_size_shows_the_same(camera):
    """Anti-aliased: what is halved by averaging is near what is drawn small."""
    off = []
    for seed in range(8):
        vista = draw_vista(seed, camera, "day", weather="clear")
        large = film(vista, camera, 1.0, size=(144, 192))[0].astype(float)
        small = film(vista, camera, 1.0, size=(72, 96))[0]
        off.append(np.abs(large.reshape(72, 2, 96, 2, 3).mean(axis=(1, 3)) - small).mean())
    assert np.mean(off) < 4


def jump(vista: Vista, camera: str, start: float, end: float) -> int:
    """The largest change that stays when a step is made ever smaller around where it is."""
    found = 255
    for _ in range(18):
        middle = (start + end) / 2
        first, between, last = film(vista, camera, start, middle, end)
        before, after = change(first, between), change(between, last)
        start, end = (start, middle) if before >= after else (middle, end)
        found = max(before, after)
    return found


@pytest.mark.parametrize("camera", ["still", "ride"])
def test_nothing_pops_up(camera):
    """The step of ten seconds that changes most goes to nothing when it is shrunk."""
    for seed in range(4):
        vista = draw_vista(seed + 20, camera)
        times = seed * 100 + np.linspace(0, 10, 101)
        steps = np.abs(np.diff(film(vista, camera, *times).astype(int), axis=0))
        worst = int(steps.reshape(100, -1).max(axis=1).argmax())
        assert jump(vista, camera, times[worst], times[worst + 1]) <= 4


@given(SEEDS, st.sampled_from(["still", "ride"]), st.integers(0, 47))
@settings(max_examples=30, deadline=None)
def test_nothing_pops_up_at_any_hour(seed, camera, half):
    """Sun, moon and stars go round a whole day; in a wide picture, which sees them come and go."""
    vista = draw_vista(seed, camera, weather="clear")
    time = (half / 2 - vista.hour) / vista.pace
    before, after = film(vista, camera, time - 1e-6, time + 1e-6, size=(24, 72))
    assert change(before, after) <= 3


def test_nothing_pops_up_where_rides_change():
    """200 rides, each where a wall of trees, a hill or a mountain has gone by."""
    for seed in range(200):
        vista = draw_vista(seed, "ride")
        apart, near = ((42, 20), (420, 190), (2600, 2600))[seed % 3]
        start = position(vista, np.zeros(1))[0]
        passed = (np.ceil((start + near) / apart) * apart - near - start) / vista.speed
        before, after = film(vista, "ride", passed - 1e-6, passed + 1e-6, size=(18, 36))
        assert change(before, after) <= 3


def outward(made: np.ndarray) -> float:
    """How fast a film grows about its middle: least squares of its changes in time and place."""
    grey = made.astype(float).mean(axis=3)
    grey = np.stack([grey[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]).mean(axis=0)
    y, x = np.mgrid[: grey.shape[1], : grey.shape[2]]
    y, x = y - (grey.shape[1] - 1) / 2, x - (grey.shape[2] - 1) / 2
    down, across = np.gradient(grey, axis=(1, 2))
    growth = (x * across + y * down)[:-1]
    low = y > 2  # the ground, not the clouds
    return float(-(np.diff(grey, axis=0) * growth * low).sum() / ((growth**2) * low).sum())


def test_rides_move_outward():
    found = []
    for seed in range(6):
        vista = draw_vista(seed + 50, "ride", "day", weather="clear")
        made = film(vista, "ride", *np.arange(24) * 0.04, size=(64, 64))
        found.append((outward(made), outward(made[::-1])))
    assert all(forward > 0.002 > -0.002 > back for forward, back in found)


def test_a_still_keeps_its_land_and_a_ride_its_pace():
    vista = draw_vista(8, "still", "day", place="mountains")
    times = np.arange(0, 40, 4.0)
    told = truth(vista, "still", times, (36, 64))
    assert (told.ridge == told.ridge[0]).all()
    assert (told.skyline >= told.ridge).all()
    assert (told.position == 0).all()
    assert np.allclose(told.hours, vista.hour + vista.pace * times)
    ride = draw_vista(8, "ride")
    told = truth(ride, "ride", times, (36, 64))
    assert np.allclose(np.diff(told.position), ride.speed * 4)
    assert (np.diff(told.hours) > 0).all()


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_sun_goes_from_left_to_right(seed):
    vista = draw_vista(seed)
    hours = np.linspace(0, 24, 97)
    height = elevation(hours, vista.season)
    told = truth(vista, "still", (hours - vista.hour) / vista.pace, (2, 4))
    assert np.allclose(told.elevation, height, atol=1e-6)
    day = height > 0
    assert (np.diff(told.sun[day, 0]) > 0).all()
    assert np.abs(told.sun[day, 0]).max() < 0.35
    assert ((told.sun[:, 1] > 0.4) == day).all()
    assert told.sun[day, 0][0] < -0.3
    assert told.sun[day, 0][-1] > 0.3


@pytest.mark.parametrize("camera", ["still", "ride"])
def test_the_sun_is_where_it_is_said_to_be(camera):
    """Brighter than the sky about it, where no cloud hides it."""
    bright = []
    for seed in range(16):
        vista = draw_vista(seed + 4, camera, "day", place="desert", weather="clear")
        told = truth(vista, camera, np.array([1.0]), (72, 128))
        frame = film(vista, camera, 1.0, size=(72, 128))[0].astype(float).mean(axis=2)
        column = int(told.sun[0, 0] * 72 + 64)
        row = int((1 - told.sun[0, 1]) * 72)
        if told.sun_seen[0]:
            beside = max(frame[row, column - 10], frame[row, column + 10])
            bright.append(frame[row, column] > beside + 4)
    assert len(bright) > 12
    assert np.mean(bright) > 0.6


def test_the_skyline_is_where_the_sky_ends():
    """Above it a still changes with the clouds alone; the ground below it is another colour."""
    for place in ("mountains", "desert", "meadow"):
        vista = draw_vista(9, "still", 12.0, place=place, weather="clear", season="summer")
        told = truth(vista, "still", np.zeros(1), (72, 96))
        frame = film(vista, "still", 0.0, size=(72, 96))[0].astype(float)
        rows = np.round((1 - told.skyline[0]) * 72).astype(int)
        columns = np.flatnonzero((rows > 3) & (rows < 68))
        across = [np.abs(frame[rows[c] + 2, c] - frame[rows[c] - 3, c]).max() for c in columns]
        assert np.median(across) > 25


def test_water_mirrors_what_stands_above_it():
    vista = draw_vista(5, "still", "day", place="lake", weather="clear", season="summer")
    told = truth(vista, "still", np.zeros(1), (90, 120))
    assert told.water == pytest.approx(0.4)
    frame = film(vista, "still", 0.0, size=(90, 120))[0].astype(float).mean(axis=2)
    line = round((1 - 0.4) * 90)
    above, below = frame[line - 14 : line - 2][::-1].ravel(), frame[line + 2 : line + 14].ravel()
    assert np.corrcoef(above, below)[0, 1] > 0.5
    assert truth(draw_vista(5, place="meadow"), "still", np.zeros(1), (8, 8)).water is None


def test_near_things_are_large_and_come_nearer():
    vista = draw_vista(2, "ride", place="forest")
    told = truth(vista, "ride", np.array([0.0, 0.5]), (64, 96))
    first, later = ({(n.kind, round(n.away + told.position[t], 3)): n for n in told.things[t]}
                    for t in (0, 1))  # fmt: skip
    both = first.keys() & later.keys()
    assert len(both) > 10
    for key in both:
        assert first[key].away - later[key].away == pytest.approx(vista.speed * 0.5)
        high = [thing.box[3] - thing.box[1] for thing in (first[key], later[key])]
        assert high[1] * later[key].away == pytest.approx(high[0] * first[key].away)
    assert (np.diff(told.depth[33:]) < 0).all()
    assert np.isinf(told.depth[:32]).all()


def test_lights_go_on_in_the_evening():
    vista = draw_vista(12, "still", 12.0, place="village", season="summer", weather="clear")
    noon, night = film(vista, "still", 0.0, 11 / vista.pace, size=(96, 160)).astype(float)
    warm = [(frame[..., 0] > 180) & (frame[..., 2] < 140) for frame in (noon, night)]
    assert noon.mean() > 1.8 * night.mean()
    assert warm[1].sum() > 5
