"""What a demuxer passes over in the middle of a file, and which of two streams is the film."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from dln.core.data.checks import judged, look
from dln.core.data.report import Problem
from dln.core.media.decode import Examined, examine, read_frames

from .test_clip import counting, numbers
from .test_damage import noisy

CLOCK = Fraction(1, 1000)


def film(path: Path, codec: str, pixels: np.ndarray, starts: np.ndarray) -> VideoStream:
    """pixels: (T, H, W, 3 or 4), shown at `starts` seconds. In clusters of half a second."""
    clear = pixels.shape[3] == 4
    with av.open(str(path), "w", options={"cluster_time_limit": "500"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=10))
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "yuva420p" if clear else "yuv420p"
        stream.codec_context.time_base, stream.bit_rate = CLOCK, 4_000_000
        for start, each in zip(starts, pixels, strict=True):
            frame = av.VideoFrame.from_ndarray(each, format="rgba" if clear else "rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(start * 1000), CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return stream


def emptied(path: Path, share: tuple[float, float]) -> Path:
    """Zeros from one share of the packets on until another, headers included."""
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    first, last = (places[int(len(places) * each)] or 0 for each in share)
    data = bytearray(path.read_bytes())
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_a_hole_in_a_webm_is_told_with_its_place(tmp_path: Path, codec: str):
    path = tmp_path / "v.webm"
    film(path, codec, noisy(60), np.arange(60) / 10)
    assert isinstance(look(path), Examined)
    found = judged("v", look(emptied(path, (0.4, 0.6))))
    assert isinstance(found, Problem)
    assert found.kind == "unreadable"
    after, lost = (float(word) for word in found.reason.split() if word[0].isdigit())
    assert 2.0 <= after <= 2.5
    assert after + lost >= 3.5


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_pauses_of_a_recording_are_no_holes(tmp_path: Path, suffix: str):
    path = tmp_path / f"v{suffix}"
    starts = np.cumsum([0.1, 0.1, 2.0, 0.1, 0.7, 0.1] * 5)
    film(path, "libvpx-vp9" if suffix == ".webm" else "libx264", noisy(30), starts)
    assert examine(path).probe.duration == pytest.approx(starts[-1] - starts[0] + 0.1, abs=0.01)


def test_transparency_between_the_packets_is_no_hole(tmp_path: Path):
    opacity = np.random.default_rng(0).integers(0, 256, (30, 96, 128, 1)).astype(np.uint8)
    pixels = np.concatenate([noisy(30), opacity], axis=-1)
    starts = np.cumsum([0.1, 0.1, 2.0, 0.1, 0.7, 0.1] * 5)
    path = tmp_path / "v.webm"
    film(path, "libvpx-vp9", pixels, starts)
    assert examine(path).probe.duration > 5


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
@pytest.mark.parametrize("cover_first", [True, False])
def test_a_cover_that_nothing_marks_is_not_the_film(tmp_path: Path, suffix, cover_first):
    path = tmp_path / f"v{suffix}"
    kinds = [("mjpeg", "yuvj420p", 1), ("mpeg4", "yuv420p", 12)]
    with av.open(str(path), "w") as container:
        packets = []
        for codec, kind, count in kinds if cover_first else kinds[::-1]:
            stream = cast(VideoStream, container.add_stream(codec, rate=10))
            stream.height, stream.width, stream.pix_fmt = 64, 64, kind
            for pixels in counting(count):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=kind)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            container.mux(packet)
    assert examine(path).probe.duration == pytest.approx(1.2, abs=0.01)
    assert numbers(read_frames(path, np.arange(12) / 10, (32, 32))) == list(range(12))
