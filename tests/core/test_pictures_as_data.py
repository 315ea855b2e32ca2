"""Folders of pictures, of pictures and videos, and one file alone, with captions and without."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.core.data import open_source
from dln.core.data.folder import Folder
from dln.core.data.images import ImageFolder
from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.picture import read_picture, recent_picture
from dln.core.media.video import write_clip

RNG = np.random.default_rng(0)


def picture(path: Path, height: int = 20, width: int = 30) -> np.ndarray:
    pixels = RNG.integers(0, 255, (height, width, 3), np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def mixed(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A picture in a folder of its own, and a video."""
    frames = np.repeat(RNG.integers(0, 255, (8, 1, 1, 3), np.uint8), 16, axis=1).repeat(24, axis=2)
    write_clip(Clip(frames, 8), folder / "b.gif", scale=1)
    return picture(folder / "more" / "a.png"), frames


def test_pictures_and_videos_without_captions(tmp_path: Path):
    pixels, frames = mixed(tmp_path)
    source = open_source(str(tmp_path), wordless=True)
    assert [source.still(n) for n in range(2)] == [False, True]
    assert [source.shape(n) for n in range(2)] == [(16, 24), (20, 30)]
    assert [source.caption(n, RNG) for n in range(2)] == ["", ""]
    assert source.words() == []
    assert np.array_equal(source.whole(1, np.zeros(2)), [pixels, pixels])
    shown = source.whole(0, np.array([0.0, 0.5]))
    assert np.abs(shown.astype(int) - frames[[0, 4]]).max() < 8
    with pytest.raises(UsageError, match=r"no metadata\.csv"):
        open_source(str(tmp_path / "more"))


def test_a_folder_of_nothing(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no videos and no pictures"):
        open_source(str(tmp_path), wordless=True)


def test_captions_are_read_where_there_are_any(tmp_path: Path):
    mixed(tmp_path)
    (tmp_path / "more" / "a.txt").write_text("a lake")
    source = open_source(str(tmp_path), wordless=True)
    assert (len(source), source.caption(0, RNG)) == (1, "a lake")
    assert source.report
    assert source.report.skipped() == "Skipped 1 of 2: 1 uncaptioned."


def test_folders_of_images_are_classes_unless_there_is_more(tmp_path: Path):
    for name in ("lakes/a.png", "woods/b.png"):
        picture(tmp_path / name)
    source = open_source(str(tmp_path), wordless=True)
    assert isinstance(source, ImageFolder)
    assert source.still(0)
    assert source.shape(0) == (20, 30)
    assert np.array_equal(source.whole(0, np.zeros(1))[0], read_picture(tmp_path / "lakes/a.png"))
    picture(tmp_path / "c.png")
    assert len(open_source(str(tmp_path), wordless=True)) == 3


def test_one_file_is_data_enough(tmp_path: Path):
    pixels = picture(tmp_path / "one.png", 9, 70)
    picture(tmp_path / "other.png")
    path = str(tmp_path / "one.png")
    source = open_source(path, wordless=True)
    assert (len(source), source.name, source.shape(0)) == (1, path, (9, 70))
    assert np.array_equal(source.whole(0, np.zeros(1))[0], pixels)
    assert not source.classes
    with pytest.raises(UsageError, match=r"no one\.txt stands beside it"):
        open_source(path)
    (tmp_path / "one.txt").write_text("a scroll")
    assert open_source(path).caption(0, RNG) == "a scroll"
    assert open_source(path).fingerprint() != source.fingerprint()


def test_turned_transparent_and_grey_pictures(tmp_path: Path):
    pixels = picture(tmp_path / "turned.png", 10, 14)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.zeros((10, 14, 4), np.uint8)).save(tmp_path / "clear.png")
    source = open_source(str(tmp_path), wordless=True)
    clear, grey, turned = (source.whole(n, np.zeros(1))[0] for n in range(3))
    assert (clear == 255).all()
    assert np.array_equal(grey, pixels[..., :1].repeat(3, axis=-1))
    assert source.shape(2) == (14, 10)
    assert np.array_equal(turned, np.rot90(pixels, -1))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_giant_is_refused_in_a_sentence(tmp_path: Path):
    Image.new("1", (10_000, 9_000)).save(tmp_path / "giant.png")
    with pytest.raises(UsageError, match=r"giant\.png: it has 90 million pixels, 89 at most"):
        open_source(str(tmp_path / "giant.png"), wordless=True)
    picture(tmp_path / "small.png")
    source = open_source(str(tmp_path), wordless=True)
    assert isinstance(source, Folder)
    assert (len(source), source.report.skipped()) == (1, "Skipped 1 of 2: 1 unreadable.")


def test_a_picture_that_changes_is_read_anew(tmp_path: Path):
    first = picture(tmp_path / "a.png")
    assert np.array_equal(recent_picture(tmp_path / "a.png"), first)
    assert recent_picture(tmp_path / "a.png") is recent_picture(tmp_path / "a.png")
    second = picture(tmp_path / "a.png")
    assert np.array_equal(recent_picture(tmp_path / "a.png"), second)
