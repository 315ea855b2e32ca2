"""The menagerie as a data set, its files, and how a data set is named."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dln.core.data import open_source
from dln.core.data.folder import Folder
from dln.core.data.menagerie import ACTORS, HELD_OUT, draw_story
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.render import render_folder
from dln.core.errors import UsageError
from dln.core.media.video import read_clip
from dln.core.text.vocabulary import normalise


def pairs(source: Menagerie) -> set[tuple[str, str]]:
    labels = [source.labels(index) for index in range(len(source))]
    return {(label["actor"], label["action"]) for label in labels}


def test_a_story_is_always_the_same_and_unlike_its_neighbours():
    one, two, other = Menagerie(50, 3), Menagerie(80, 3), Menagerie(50, 4)
    assert [one.story(i) for i in range(50)] == [two.story(i) for i in range(50)]
    assert [one.story(i) for i in range(50)] != [other.story(i) for i in range(50)]
    assert len({one.story_seed(i) for i in range(50)}) == 50
    assert {label for label, _ in pairs(Menagerie(300))} == set(ACTORS)
    with pytest.raises(IndexError, match="clip 50 of 50"):
        one.story(50)


def test_held_out_pairs_are_kept_apart():
    assert not pairs(Menagerie(400)) & HELD_OUT
    assert pairs(Menagerie(60, held_out=True)) <= HELD_OUT
    everything = pairs(Menagerie(800, held_out=None))
    assert everything & HELD_OUT
    assert everything - HELD_OUT


def test_frames_masks_and_captions():
    source = Menagerie(20)
    times = np.array([0.0, 0.5, source.duration(0), 99.0])
    frames, mask = source.frames(7, times, (32, 32))
    assert (frames.shape, frames.dtype) == ((4, 32, 32, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((4, 32, 32), np.uint8)
    assert (frames[2] == frames[3]).all()
    assert (frames == source.frames(7, times, (32, 32))[0]).all()
    caption = source.caption(7, np.random.default_rng(1))
    assert caption == source.caption(7, np.random.default_rng(1))
    words = set(source.words())
    assert all(
        word in words
        for index in range(20)
        for word in normalise(source.caption(index, np.random.default_rng(index)))
    )


@pytest.mark.parametrize("size", [(18, 32), (32, 20), (9, 33)])
def test_other_sizes_show_the_middle_of_the_square_world(size: tuple[int, int]):
    source, times = Menagerie(3), np.array([0.0, 1.7])
    side = max(size)
    whole = source.frames(1, times, (side, side))
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    for part, all_of_it in zip(source.frames(1, times, size), whole, strict=True):
        middle = all_of_it[:, top : top + size[0], left : left + size[1]]
        assert np.array_equal(part, middle)
    assert np.array_equal(source.image(1, size), source.frames(1, np.array([2.0]), size)[0][0])


def test_what_a_source_may_lack(tmp_path: Path):
    source = Menagerie(3)
    assert (source.classes, source.flips, source.report) == ((), False, None)
    with pytest.raises(LookupError, match="menagerie has no classes"):
        source.label(0)
    render_folder(source, tmp_path / "clips", 2, (16, 16), 4)
    folder = open_source(str(tmp_path / "clips"))
    assert folder.told_for(9.0) is folder
    assert folder.labels(0) is None
    assert folder.report
    assert (folder.report.sound, source.told_for(9.0).duration(0)) == (2, 9.0)


def test_the_fingerprint_tells_settings_apart():
    sources = [Menagerie(9), Menagerie(10), Menagerie(9, 1), Menagerie(9, held_out=None)]
    assert len({source.fingerprint() for source in sources}) == 4
    assert Menagerie(9).fingerprint() == sources[0].fingerprint()


def test_names_of_data_sets(tmp_path: Path):
    source = open_source("menagerie", count=5, seed=2, held_out=None)
    assert (source.name, len(source)) == ("menagerie", 5)
    assert len(open_source("menagerie")) == 12000
    with pytest.raises(UsageError, match="Did you mean 'menagerie'"):
        open_source("menagery")
    (tmp_path / "clips.csv").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        open_source(str(tmp_path / "clips.csv"))
    with pytest.raises(UsageError, match="count"):
        open_source("menagerie", count=0)


def test_a_rendered_folder_is_a_data_set(tmp_path: Path):
    source, seen = Menagerie(6, 5, held_out=None), []
    folder = tmp_path / "clips"
    path = render_folder(source, folder, 4, (32, 32), 6, lambda *state: seen.append(state))
    assert seen == [(n, 4) for n in range(1, 5)]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == [f"{n:05}.mp4" for n in range(4)]
    assert rows[2]["text"] == source.caption(2, np.random.default_rng(2))
    assert {**rows[2], "file_name": "", "text": "", "seed": ""}.items() >= source.labels(2).items()
    assert draw_story(int(rows[2]["seed"]), held_out=None) == source.story(2)

    read = open_source(str(folder), count=3)
    assert isinstance(read, Folder)
    assert (len(read), read.duration(0)) == (3, source.duration(0))
    assert read.report.problems == []
    assert read.caption(1, np.random.default_rng(0)) == rows[1]["text"]
    assert read.extra(1)["actor"] == rows[1]["actor"]
    times = np.array([0.0, 1.0, 2.5])
    near = np.abs(
        read.frames(1, times, (32, 32))[0].astype(int) - source.frames(1, times, (32, 32))[0]
    )
    assert near.mean() < 6
    assert read_clip(folder / "00001.mp4").fps == 6

    with pytest.raises(UsageError, match="not empty"):
        render_folder(source, folder, 4, (32, 32), 6)
    with pytest.raises(UsageError, match="1 to 6"):
        render_folder(source, tmp_path / "b", 7)
    with pytest.raises(UsageError, match="even and at least 2, got 32x17"):
        render_folder(source, tmp_path / "b", 1, (17, 32))
    render_folder(source, tmp_path / "wide", 1, (18, 32), 6)
    assert read_clip(tmp_path / "wide" / "00000.mp4").frames.shape[1:3] == (18, 32)
