"""A png that is written row by row: Pillow reads the very pixels, and the notes."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.core.errors import DlnError
from dln.core.media import png
from dln.core.media.png import write_png
from dln.core.media.stream import Stream
from dln.core.media.video import read_clip, write_stream

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (23, 31, 3), np.uint8)
SLOPES = (np.arange(40)[:, None, None] * 3 + np.arange(50)[:, None] + np.arange(3)).astype(np.uint8)


def banded(pixels: np.ndarray, rows: int) -> Stream:
    """A picture (H, W, 3) in bands of so many rows."""
    bands = (pixels[None, first : first + rows] for first in range(0, len(pixels), rows))
    return Stream(bands, 1.0, pixels.shape[:2], 1, banded=True)  # pyright: ignore


@pytest.mark.parametrize("pixels", [NOISE, SLOPES, NOISE[:1, :1], NOISE[:, :1], NOISE[:1]])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_pillow_reads_what_was_written(pixels, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(png, "AT_ONCE", 400)
    path = write_stream(banded(pixels, rows), tmp_path / "wide.png", receipt={"schema": "dln-x"})
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
        assert picture.info["comment"] == '{"schema": "dln-x"}'
    clip = read_clip(path)
    assert (len(clip.frames), clip.fps) == (1, 1.0)


def test_slopes_are_packed_as_well_as_by_pillow(tmp_path):
    wide = np.tile(SLOPES, (4, 4, 1))
    write_stream(banded(wide, 16), tmp_path / "ours.png")
    Image.fromarray(wide).save(tmp_path / "theirs.png")
    ours, theirs = ((tmp_path / name).stat().st_size for name in ("ours.png", "theirs.png"))
    assert ours < 1.2 * theirs


def test_a_banded_picture_is_whole_for_who_wants_frames(tmp_path):
    assert np.array_equal(banded(SLOPES, 7).clip().frames, SLOPES[None])
    doubled = write_stream(banded(SLOPES, 7), tmp_path / "large.png", scale=2)
    with Image.open(doubled) as picture:
        assert picture.size == (100, 80)


@pytest.mark.parametrize("lines", [22, 24])
def test_rows_that_lack_or_are_too_many(lines, tmp_path):
    bands = [np.zeros((lines, 31, 3), np.uint8)]
    with pytest.raises(ValueError, match="rows"):
        write_png(tmp_path / "a.png", (23, 31), bands, {})


def test_a_full_disk_in_the_middle_leaves_nothing(tmp_path):
    def bands() -> Iterator[np.ndarray]:
        yield NOISE[None, :10]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stream = Stream(bands(), 1.0, (23, 31), 1, banded=True)
    with pytest.raises(DlnError, match="disk full while writing"):
        write_stream(stream, tmp_path / "wide.png")
    assert not list(Path(tmp_path).iterdir())
