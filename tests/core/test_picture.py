"""Pictures and frames are cropped and resized by one function."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dln.core.errors import UsageError
from dln.core.media.decode import read_frames
from dln.core.media.part import Part
from dln.core.media.picture import fitted, middle, picture, read_picture

SIDES = st.integers(1, 70)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES)
def test_squares_are_the_middle_by_pillow(height: int, width: int, size: int):
    """Every byte: tables and trainings of earlier versions go on with the same data."""
    pixels, side = noise(height, width), min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = Image.fromarray(pixels[top : top + side, left : left + side])
    method = Image.Resampling.BOX if side > size else Image.Resampling.BICUBIC
    wanted = crop if side == size else crop.resize((size, size), method)
    assert np.array_equal(fitted(pixels, (size, size)), np.asarray(wanted))


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_the_part_is_the_largest_in_the_middle_with_the_aspect(height, width, h, w):
    rows, columns = middle((height, width), (h, w))
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    assert tall == height or wide == width
    assert abs(tall * w - wide * h) <= max(h, w)  # less than a pixel of either side
    assert 0 <= (height - rows.stop) - rows.start <= 1
    assert 0 <= (width - columns.stop) - columns.start <= 1
    found = fitted(noise(height, width), (h, w))
    assert (found.shape, found.dtype) == ((h, w, 3), np.uint8)


def test_shrinking_takes_means():
    pixels = noise(8, 24)
    wanted = pixels[:, 4:20].reshape(4, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(fitted(pixels, (4, 8)) - wanted).max() <= 1  # Pillow rounds once an axis


def test_a_picture_is_what_a_frame_of_it_would_be(tmp_path: Path):
    for number in range(2):
        Image.fromarray(noise(30, 47)).save(tmp_path / f"{number}.png")
    for size in ((16, 16), (20, 40), (64, 64)):
        found = picture(str(tmp_path / "0.png"), size)
        assert np.array_equal(found, read_frames(tmp_path, [0.0], size)[0])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"text.png cannot be read as an image"):
        picture(str(tmp_path / "text.png"), (8, 8))
    with pytest.raises(UsageError, match=r"gone.png cannot be read as an image: No such file"):
        picture(str(tmp_path / "gone.png"), (8, 8))


def test_pictures_as_they_are_meant_to_be_seen(tmp_path: Path):
    """Upright, transparent parts on white, 16 bits of grey as 8."""
    tall = noise(30, 20)
    turned = Image.fromarray(np.rot90(tall))  # a camera held sideways: 6 says turn right
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "turned.png"), tall)
    glass = np.zeros((2, 2, 4), np.uint8)
    glass[0] = 10, 20, 30, 255
    Image.fromarray(glass).save(tmp_path / "glass.png")
    assert read_picture(tmp_path / "glass.png").tolist() == [[[10, 20, 30]] * 2, [[255] * 3] * 2]
    ramp = np.arange(256, dtype=np.uint16)[None] * 257
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    assert np.array_equal(read_picture(tmp_path / "ramp.png")[0, :, 0], np.arange(256))


def test_a_picture_of_too_many_pixels(tmp_path: Path, monkeypatch):
    Image.new("L", (40, 40)).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(UsageError, match="too many pixels"):
        read_picture(tmp_path / "big.png")


@given(st.integers(-25, 25), st.integers(0, 30), st.sampled_from([0, 1, 2]))
def test_a_part_reads_as_a_file_of_its_own(tmp_path_factory, place: int, count: int, whence: int):
    path = tmp_path_factory.getbasetemp() / "whole"
    path.write_bytes(bytes(range(60)))
    alone = tmp_path_factory.getbasetemp() / "alone"
    alone.write_bytes(bytes(range(7, 27)))
    with Part(path, "x.mp4", 7, 20).open() as part, alone.open("rb") as file:
        outcomes = []
        for each in (part, file):
            each.read(3)
            try:
                outcomes.append((each.seek(place, whence), each.read(count), each.tell()))
            except (OSError, ValueError):
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1]
