"""Videos as other tools would write them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

MakeVideo = Callable[..., Path]


def encode_video(
    path: Path,
    frames: np.ndarray,
    codec: str,
    fps: float = 10,
    pix_fmt: str = "yuv420p",
    starts: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """frames: uint8 (T, H, W, 3), shown at `starts` seconds (evenly at `fps` when None)."""
    clock = Fraction(1, 1000) if starts else 1 / Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options or {}))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
        stream.codec_context.time_base = clock
        if codec in ("mpeg4", "mjpeg"):
            stream.codec_context.bit_rate = 4_000_000
        for place, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            frame.pts = round(starts[place] * 1000) if starts else place
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    return encode_video
