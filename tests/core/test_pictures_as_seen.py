"""Every reader of pictures sees them as a browser does: upright, on white, with all levels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dln.core.data.images import ImageFolder
from dln.core.errors import UsageError
from dln.core.media.decode import examine, read_frames
from dln.core.media.picture import picture, read_picture
from dln.core.media.video import read_clip

from .test_upright import as_exif, corners

GLASS = np.array([[[0, 200, 0, 255], [255, 0, 255, 0], [0, 0, 200, 128]]], np.uint8)
ON_WHITE = [[[0, 200, 0], [255, 255, 255], [127, 127, 227]]]


def readers(path: Path, size: tuple[int, int]) -> list[np.ndarray]:
    """The picture by --image, as a folder of frames, and in a set of classes."""
    frames, classes = path.parent / "frames", path.parent / "classes"
    for place in (frames / "1", frames / "2", classes / "a" / "0", classes / "b" / "0"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(path.suffix).write_bytes(path.read_bytes())
    return [
        picture(str(path), size),
        read_frames(frames, [0.2], size)[0],
        read_clip(frames).frames[1],
        ImageFolder(str(classes), held_out=None).image(1, size),
    ]


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_pictures_are_turned_upright(tmp_path: Path, number: int, suffix: str):
    exif, path = Image.Exif(), tmp_path / f"p{suffix}"
    exif[0x0112] = number
    Image.fromarray(corners()).save(path, exif=exif, quality=100, lossless=True)
    wanted = as_exif(corners(), number)
    height, width = wanted.shape[:2]
    for found in readers(path, (height, width)):
        assert np.abs(found.astype(int) - wanted).mean() < 4
    assert examine(tmp_path / "frames").probe[1:3] == (width, height)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_what_is_clear_lies_on_white(tmp_path: Path, suffix: str):
    path = tmp_path / f"p{suffix}"
    Image.fromarray(GLASS.repeat(8, 0)).save(path, lossless=True, exact=True)
    for found in readers(path, (8, 3)):
        assert found[:1].tolist() == ON_WHITE


def test_other_ways_to_be_clear(tmp_path: Path):
    """A palette with an opacity each, one clear colour, grey with opacity."""
    path = tmp_path / "p.png"
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    palette.putpalette(GLASS[0, :, :3].tobytes())
    palette.save(path, transparency=bytes(GLASS[0, :, 3]))
    assert read_picture(path).tolist() == ON_WHITE
    Image.fromarray(GLASS[..., :3]).save(path, transparency=(255, 0, 255))
    assert read_picture(path).tolist() == [[[0, 200, 0], [255] * 3, [0, 0, 200]]]
    Image.fromarray(np.array([[10, 20]], np.uint8)).save(path, transparency=20)
    assert read_picture(path).tolist() == [[[10] * 3, [255] * 3]]
    Image.fromarray(np.array([[[10, 255], [20, 0], [0, 128]]], np.uint8), "LA").save(path)
    assert read_picture(path).tolist() == [[[10] * 3, [255] * 3, [127] * 3]]
    palette.save(tmp_path / "p.gif", transparency=1)
    assert read_picture(tmp_path / "p.gif")[0, 1].tolist() == [255] * 3


def png(levels: np.ndarray, kind: int, clear: bytes = b"") -> bytes:
    """A PNG of 16 bits by its specification: uint16 (H, W, channels); kind: 0 grey, 2 colours, 4
    and 6 the same with opacity; clear: the chunk tRNS."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = levels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + (chunk(b"tRNS", clear) if clear else b"")
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits(tmp_path: Path, kind: int, channels: int):
    ramp = np.linspace(0, 65535, 256).round()[None, :, None].repeat(channels, -1)
    if kind > 2:
        ramp[..., -1] = 65535
    path = tmp_path / "p.png"
    path.write_bytes(png(ramp, kind))
    for found in readers(path, (1, 256)):
        assert np.abs(found[0].astype(int) - np.arange(256)[:, None]).max() <= 1


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3)])
def test_a_clear_colour_of_sixteen_bits(tmp_path: Path, kind: int, channels: int):
    levels = np.full((1, 2, channels), 0x1234)
    levels[0, 1] = 0xABCD
    path = tmp_path / "p.png"
    path.write_bytes(png(levels, kind, b"\x12\x34" * channels))
    assert read_picture(path).tolist() == [[[255] * 3, [0xAB] * 3]]


def test_other_numbers_for_colours(tmp_path: Path):
    """A TIFF of 16 bits is a ramp, one of fractions is refused; ink is taken for light."""
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None]
    Image.fromarray(ramp).save(tmp_path / "p.tiff")
    assert np.array_equal(read_picture(tmp_path / "p.tiff")[0, :, 0], np.arange(256))
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(UsageError, match="no levels of grey"):
        read_picture(tmp_path / "f.tiff")
    ink = np.full((16, 16, 4), (0, 255, 255, 0), np.uint8)  # magenta and yellow: red
    Image.fromarray(ink, "CMYK").save(tmp_path / "ink.jpg", quality=100)
    red = read_picture(tmp_path / "ink.jpg")[8, 8]
    assert red[0] > 240
    assert red[1:].max() < 20
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "one.png")
    assert read_picture(tmp_path / "one.png").tolist() == [[[0] * 3, [255] * 3]]
