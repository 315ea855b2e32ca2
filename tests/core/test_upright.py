"""Frames are as a player shows them: turned, mirrored, their pixels square, on white."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image, ImageOps

from dln.core.media.decode import examine, probe, read_frames
from dln.core.media.video import read_clip

ONE = 0x10000
MATRICES = {  # by EXIF's number for the same turn; the first four of ISO 14496-12, 8.3.2.3
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip
OPTIONS: dict[str, dict[str, object]] = {"libx264": {"qp": "4"}, "libvpx": {"auto-alt-ref": "0"}}


def corners(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture that looks different after every turn: uint8 (H, W, 3)."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[: height // 2, : width // 2] = 230, 30, 30
    pixels[: height // 2, width // 2 :] = 30, 230, 30
    pixels[height // 2 :, : width // 2] = 30, 30, 230
    return pixels


def film(
    path: Path,
    pixels: np.ndarray,
    aspect: Fraction | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv444p",
) -> Path:
    """Six times the picture, (H, W, 3 or 4), in a file whose stored pixels have this aspect."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=10))
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], pix_fmt
        stream.options = OPTIONS.get(codec, {})
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        kind = "rgba" if pixels.shape[2] == 4 else "rgb24"
        for place in range(6):
            frame = av.VideoFrame.from_ndarray(pixels, format=kind).reformat(format=pix_fmt)
            frame.pts = place
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, matrix: Sequence[int]) -> Path:
    """Writes (a, b, c, d) into the track's header, where nine numbers say how it is shown."""
    data = path.read_bytes()
    a, b, c, d = (number * ONE for number in matrix)
    still, turned = ([ONE, 0, 0, 0, ONE, 0, 0, 0], [a, b, 0, c, d, 0, 0, 0])
    old, new = (b"".join(n.to_bytes(4, "big", signed=True) for n in each)
                for each in (still, turned))  # fmt: skip
    place = data.index(old, data.index(b"tkhd"))
    path.write_bytes(data[:place] + new + data[place + len(old) :])
    return path


def as_exif(pixels: np.ndarray, number: int) -> np.ndarray:
    """What Pillow makes of the picture with this orientation."""
    picture, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = number
    picture.info["exif"] = exif.tobytes()
    return np.asarray(ImageOps.exif_transpose(picture))


def differ(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found.astype(int) - wanted).mean())


@pytest.mark.parametrize("number", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_every_turn_and_mirror(tmp_path: Path, number: int, suffix: str):
    path = turn(film(tmp_path / f"v{suffix}", corners()), MATRICES[number])
    wanted = as_exif(corners(), number)
    assert differ(read_clip(path).frames[3], wanted) < 4
    height, width = wanted.shape[:2]
    assert probe(path)[1:3] == examine(path).probe[1:3] == (width, height)
    assert differ(read_frames(path, [0.2], (height, width))[0], wanted) < 4


def test_a_matrix_of_nothing_is_none(tmp_path: Path):
    path = turn(film(tmp_path / "v.mp4", corners()), (0, 0, 0, 0))
    assert differ(read_clip(path).frames[0], corners()) < 4


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".ts"])
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(4, 3), Fraction(1, 2)])
def test_stored_pixels_become_square(tmp_path: Path, suffix: str, aspect: Fraction):
    codec, kind = ("mpeg4", "yuv420p") if suffix == ".avi" else ("libx264", "yuv444p")
    path = film(tmp_path / f"v{suffix}", corners(48, 72), aspect, codec, kind)
    wanted = corners(48, int(72 * aspect))
    assert differ(read_clip(path).frames[0], wanted) < 8
    assert probe(path)[1:3] == (int(72 * aspect), 48)
    square = read_frames(path, [0.0], (32, 32))[0]
    assert differ(square, corners(32, 32)) < 12


def test_what_the_container_says_of_pixels_goes_before_the_codec(tmp_path: Path):
    path = film(tmp_path / "v.mp4", corners(), Fraction(3, 2))
    assert probe(path)[1:3] == (96, 48)
    data = path.read_bytes()
    place = data.index(b"pasp") + 4
    two_to_one = b"".join(number.to_bytes(4, "big") for number in (2, 1))
    path.write_bytes(data[:place] + two_to_one + data[place + 8 :])
    assert probe(path)[1:3] == (128, 48)


@pytest.mark.parametrize("number", [5, 6, 7, 8])
def test_pixels_are_square_before_they_are_turned(tmp_path: Path, number: int):
    path = turn(film(tmp_path / "v.mp4", corners(48, 36), Fraction(2)), MATRICES[number])
    wanted = as_exif(corners(48, 72), number)
    assert differ(read_clip(path).frames[0], wanted) < 8
    assert probe(path)[1:3] == (48, 72)


@pytest.mark.parametrize("aspect", [Fraction(1, 5000), Fraction(5000), Fraction(60_000, 1)])
def test_an_absurd_shape_of_pixels_is_no_shape(tmp_path: Path, aspect: Fraction):
    path = film(tmp_path / "v.mp4", corners(), aspect)
    assert probe(path)[1:3] == (64, 48)
    assert differ(read_clip(path).frames[0], corners()) < 4


def glass() -> np.ndarray:
    """Opaque green, clear magenta, blue half there: uint8 (H, W, 4)."""
    pixels = np.zeros((48, 48, 4), np.uint8)
    pixels[:16], pixels[16:32], pixels[32:] = (0, 200, 0, 255), (255, 0, 255, 0), (0, 0, 200, 128)
    return pixels


@pytest.mark.parametrize(
    ("suffix", "codec", "kind"),
    [(".mov", "qtrle", "argb"), (".mov", "png", "rgba"), (".mov", "prores_ks", "yuva444p10le"),
     (".mkv", "ffv1", "yuva420p"), (".webm", "libvpx-vp9", "yuva420p"),
     (".webm", "libvpx", "yuva420p")],
)  # fmt: skip
def test_what_is_transparent_lies_on_white(tmp_path: Path, suffix: str, codec: str, kind: str):
    path = film(tmp_path / f"v{suffix}", glass(), None, codec, kind)
    found = read_clip(path).frames[2]
    for row, colour in ((8, (0, 200, 0)), (24, (255, 255, 255)), (40, (127, 127, 227))):
        assert np.abs(found[row, 24].astype(int) - colour).max() < 12
    late = read_frames(path, [0.5], (48, 48))[0]
    assert np.abs(late[24, 24].astype(int) - 255).max() < 12
    assert examine(path).probe.duration == pytest.approx(0.6, abs=0.002)


def test_sixteen_bits_of_grey_in_a_video(tmp_path: Path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(48, 0)
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("ffv1", rate=10))
        stream.height, stream.width, stream.pix_fmt = 48, 64, "gray16le"
        for place in range(5):
            frame = av.VideoFrame.from_ndarray(ramp, format="gray16le")
            frame.pts = place
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = read_clip(path).frames[0, 20, :, 1]
    assert np.abs(found - np.linspace(0, 255, 64)).max() < 3
