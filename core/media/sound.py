"""Sound: read from a file of any kind, and written beside the pictures of a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..door import is_plain
from ..errors import UsageError
from .opened import explained

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

RATE = 48_000  # samples a second, the one rate that AAC and Opus both take
CHANNELS, LAYOUT = 2, "stereo"
BIT_RATE = 192_000
SLACK = RATE // 200  # samples by which a file's clock may be off before silence fills a gap
AT_ONCE = RATE // 10  # samples of silence that are held


def check_sound(path: Path) -> None:
    """UsageError where no sound can be read from this file."""
    with _opened(path) as (container, stream):
        if next(_decoded(container, stream), None) is None:
            raise UsageError(f"{path} has no sound that can be decoded.")


def heard(path: Path, count: int) -> Iterator[np.ndarray]:
    """The first `count` samples of a file's sound, float32 (CHANNELS, n) each, as they come.

    Silence stands where the file has none: before its sound, in a gap, after its end. What is
    damaged is left out. UsageError for a file that has no sound.
    """
    done = 0
    with _opened(path) as (container, stream):
        for start, block in _decoded(container, stream):
            missing = min(start, count) - done
            if missing > SLACK:
                yield from _silence(missing)
                done += missing
            kept = block[:, : count - done]
            if kept.shape[1]:
                yield kept
            done += kept.shape[1]
            if done == count:
                return
    yield from _silence(count - done)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    import av

    if not is_plain(path):
        raise UsageError(f"There is no file {path} with sound in it.")
    with (
        explained(path),
        path.open("rb") as file,
        av.open(file, "r", metadata_errors="replace") as container,
    ):
        if not container.streams.audio:
            raise UsageError(f"{path} has no sound in it.")
        yield container, container.streams.audio[0]


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of samples at RATE, each after the sample at which its clock says that it begins."""
    import av
    from av.error import FFmpegError

    resampler = av.AudioResampler("fltp", LAYOUT, RATE)
    origin, done = Fraction(container.start_time or 0, av.time_base), 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        for frame in frames:
            start = done if frame.time is None else round((frame.time - origin) * RATE)
            for block in resampler.resample(cast(av.AudioFrame, frame)):
                yield start, block.to_ndarray()
                done = start = start + block.samples
    for block in resampler.resample(None):
        yield done, block.to_ndarray()


def _silence(count: int) -> Iterator[np.ndarray]:
    for first in range(0, count, AT_ONCE):
        yield np.zeros((CHANNELS, min(AT_ONCE, count - first)), np.float32)


class Soundtrack:
    """A file's sound on its way into a video: in step with the pictures, so that neither waits for
    the other in memory. It is as long as they are."""

    def __init__(
        self, container: OutputContainer, codec: str, path: Path, seconds: Fraction
    ) -> None:
        from av.codec.context import Flags

        self._container, self._done = container, 0
        self._track = cast("AudioStream", container.add_stream(codec, rate=RATE))
        context = self._track.codec_context
        context.layout, context.bit_rate, context.thread_count = LAYOUT, BIT_RATE, 1
        context.flags |= Flags.bitexact
        self._blocks = heard(path, round(seconds * RATE))

    def until(self, seconds: Fraction) -> None:
        """Write what is heard up to this moment, and what is left of the block."""
        while self._done < seconds * RATE and (block := next(self._blocks, None)) is not None:
            self._write(block)

    def end(self) -> None:
        """Write the rest."""
        for block in self._blocks:
            self._write(block)
        self._container.mux(self._track.encode(None))

    def _write(self, block: np.ndarray) -> None:
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", LAYOUT)
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._done, Fraction(1, RATE)
        self._done += block.shape[1]
        self._container.mux(self._track.encode(frame))
