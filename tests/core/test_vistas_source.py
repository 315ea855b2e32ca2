"""The vistas as a data set: their captions, their names, and the folders they are rendered into."""

import csv
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dln.core.data import open_source
from dln.core.data.render import render_folder
from dln.core.data.vistas import (
    CAMERAS,
    SEASONS,
    TIMES,
    WEATHERS,
    caption,
    describe,
    draw_vista,
    places_of,
    vocabulary,
)
from dln.core.data.vistas.lexicon import words_of
from dln.core.data.vistas.source import Vistas
from dln.core.errors import UsageError
from dln.core.text.vocabulary import normalise

WORDS = set(vocabulary())


@pytest.mark.parametrize("camera", ["still", "ride"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_captions_are_read_back(camera, language):
    """Every place, season, weather and time of day together."""
    for number, (place, season, weather, time) in enumerate(
        product(places_of(camera), SEASONS, WEATHERS, TIMES)
    ):
        vista = draw_vista(number, camera, time, place=place, season=season, weather=weather)
        rng = np.random.default_rng(number)
        for _ in range(3):
            text = caption(vista, rng, language, camera=camera, time=2.0)
            told = describe(text)
            assert text == text.lower()
            assert set(words_of(text)) <= WORDS
            assert len(words_of(text)) <= 16
            assert told.pop("place") == place, text
            for slot, true in (("season", season), ("weather", weather), ("time", time)):
                assert told[slot] in (None, true), text


def test_captions_name_what_they_promise():
    source, rng = Vistas(count=1500), np.random.default_rng(0)
    told = [describe(source.caption(index, rng)) for index in range(1500)]
    for slot in ("season", "weather", "time"):
        assert np.mean([t[slot] is not None for t in told]) == pytest.approx(0.6, abs=0.05)
    with pytest.raises(ValueError, match="no captions in 'fr'"):
        caption(source.vista(0), rng, "fr")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a mountain lake at sunset", ("lake", None, None, "dusk")),
        ("заснеженный лес ночью", ("forest", "winter", None, "night")),
        ("Mountains by a lake at dusk!", ("lake", None, None, "dusk")),
        ("осенняя деревня под дождём", ("village", "autumn", "rain", None)),
        ("вниз по горной реке в тумане утром", ("river", None, "fog", "dawn")),
        ("a red square", (None, None, None, None)),
    ],
)
def test_prompts_of_people(text, told):
    assert tuple(describe(text).values()) == told


def test_a_vista_is_always_the_same_and_unlike_its_neighbours():
    one, two, other = Vistas(count=50, seed=3), Vistas(count=80, seed=3), Vistas(count=50, seed=4)
    assert [one.vista(i) for i in range(50)] == [two.vista(i) for i in range(50)]
    assert [one.vista(i) for i in range(50)] != [other.vista(i) for i in range(50)]
    assert len({one.story_seed(i) for i in range(50)}) == 50
    fresh = Vistas(count=50, seed=3, held_out=True)
    assert not {one.story_seed(i) for i in range(50)} & {fresh.story_seed(i) for i in range(50)}
    with pytest.raises(IndexError, match="clip 50 of 50"):
        one.vista(50)


@pytest.mark.parametrize("camera", CAMERAS)
def test_frames_captions_and_labels(camera):
    source = open_source(f"vistas,camera={camera}", count=20)
    times = np.array([0.0, 0.5, source.duration(0), 99.0])
    made, mask = source.frames(7, times, (18, 32))
    assert (made.shape, made.dtype, mask) == ((4, 18, 32, 3), np.uint8, None)
    assert (made[2] == made[3]).all()
    again = pickle.loads(pickle.dumps(source))
    assert (made == again.frames(7, times, (18, 32))[0]).all()
    assert (source.pictures, source.flips) == (camera == "panorama", False)
    assert source.pictures == (made[0] == made[1]).all()
    words = set(source.words())
    for index in range(20):
        labels = source.labels(index) or {}
        assert list(labels) == ["place", "season", "weather", "time"]
        assert source.classes[source.label(index)] == labels["place"]
        text = source.caption(index, np.random.default_rng(index))
        assert set(normalise(text)) <= words
        assert describe(text)["time"] in (None, labels["time"])


def test_a_vista_can_be_filmed_for_longer():
    source = Vistas(count=3)
    longer = source.told_for(600.0)
    assert (source.duration(0), longer.duration(0)) == (4.0, 600.0)
    times = np.array([1.0, 3.0])
    assert (source.frames(1, times, (8, 8))[0] == longer.frames(1, times, (8, 8))[0]).all()
    night, day = longer.frames(1, np.array([0.0, 12 / source.vista(1).pace]), (8, 8))[0]
    assert (night != day).any()


def test_names_of_vistas():
    source = open_source("vistas,season=winter,camera=ride,hour=dusk", count=30, seed=2)
    assert isinstance(source, Vistas)
    assert source.name == "vistas,camera=ride,season=winter,hour=dusk"
    again = open_source(source.name, count=30, seed=2)
    assert again.fingerprint() == source.fingerprint()
    labels = [source.labels(index) for index in range(30)]
    assert {label["season"] for label in labels} == {"winter"}
    assert {label["time"] for label in labels} == {"dusk"}
    assert len(open_source("vistas")) == 12000
    assert open_source("vistas,hour=18.5").facts(0)["hour"] == "18.50"
    others = [Vistas(count=2), Vistas(count=3), Vistas(count=2, seed=1), Vistas("ride", count=2)]
    assert len({other.fingerprint() for other in others}) == 4


@pytest.mark.parametrize(
    ("spec", "named"),
    [("vistas,camra=ride", "Did you mean 'camera'"), ("vistas,ride", "has no 'ride'"),
     ("vistas,camera=kite", "no camera 'kite'"), ("vistas,place=moon", "no place 'moon'"),
     ("vistas,hour=25", "0 to 24"), ("vistas,hour=nan", "0 to 24"), ("vista", "'vistas'"),
     ("vistas,", "has no ''"), ("vistas,noise=0.2", "has no 'noise=0.2'")],
)  # fmt: skip
def test_names_that_mean_nothing(spec, named):
    with pytest.raises(UsageError, match=named):
        open_source(spec)


def test_a_rendered_folder_is_a_data_set(tmp_path: Path):
    source = Vistas("still", 3, 5)
    path = render_folder(source, tmp_path / "clips", 2, (32, 48), 6)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_name", "text", "place", "season", "weather", "time", "hour",
                             "seed"]  # fmt: skip
    assert rows[1].items() >= source.labels(1).items()
    assert draw_vista(int(rows[1]["seed"]), "still") == source.vista(1)
    read = open_source(str(tmp_path / "clips"))
    assert (len(read), read.duration(0)) == (2, source.duration(0))
    times = np.array([0.0, 2.5])
    ours, theirs = (each.frames(1, times, (32, 48))[0].astype(int) for each in (source, read))
    assert np.abs(ours - theirs).mean() < 6


def test_panoramas_are_pictures_of_any_width(tmp_path: Path):
    from PIL import Image

    source = Vistas("panorama", 3, 5)
    path = render_folder(source, tmp_path / "wide", 2, (21, 333))
    with path.open(newline="") as file:
        assert [row["file_name"] for row in csv.DictReader(file)] == ["00000.png", "00001.png"]
    with Image.open(tmp_path / "wide" / "00001.png") as picture:
        assert (np.asarray(picture.convert("RGB")) == source.image(1, (21, 333))).all()
