"""Opening a video: its one stream of moving pictures, whatever else lies in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .part import Readable

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

MOST_PIXELS = 2 * 89_478_485  # of a frame; Pillow takes more in a picture for a bomb
WIDEST = 10.0  # of a pixel, in its heights, and the other way round: what says more is a mistake
PICTURES = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")  # codecs of covers, and of few films
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders that do not drop transparency

Hear = Callable[["Packet"], None]


@dataclass(frozen=True)
class Film:
    """An open file: its container, its stream of pictures, what decodes it, and the width of a
    stored pixel in its heights."""

    container: InputContainer
    stream: VideoStream
    decoder: VideoCodecContext
    aspect: float

    def frames(self, strict: bool, hear: Hear | None = None) -> Iterator[VideoFrame | None]:
        """The frames in the order of showing. Where something of them is lost: not strict, the
        next that can be had; strict, None, and no more.

        hear: is told every packet of the file, of sound too. What comes before the first key frame
        is nobody's loss: recordings begin anywhere.
        """
        from av.error import FFmpegError

        keyed = sound = False
        for packet in self._packets(hear):
            keyed = keyed or packet.is_keyframe
            try:
                frames, lost = self.decoder.decode(packet), packet.is_corrupt
            except FFmpegError:
                lost, frames = True, self._held_back() if strict and keyed else []
            for frame in frames:
                if strict and sound and frame.is_corrupt:
                    yield None
                    return
                sound = sound or not frame.is_corrupt
                yield frame
            if strict and keyed and lost:
                yield None
                return

    def seek(self, seconds: float) -> None:
        """To the key frame at or before this time of the stream's own clock."""
        assert self.stream.time_base
        self.container.seek(int(seconds / self.stream.time_base), stream=self.stream)
        self.decoder.flush_buffers()

    def _packets(self, hear: Hear | None) -> Iterator[Packet]:
        for packet in self.container.demux() if hear else self.container.demux(self.stream):
            if hear:
                hear(packet)
            if packet.stream == self.stream:
                yield packet

    def _held_back(self) -> list[VideoFrame]:
        """Frames that the decoder has finished and keeps for their turn."""
        from av import Packet
        from av.error import FFmpegError

        nothing = Packet()
        nothing.stream = self.stream
        if self.stream.time_base:
            nothing.time_base = self.stream.time_base
        try:
            return self.decoder.decode(nothing)
        except FFmpegError:
            return []


@contextmanager
def opened(path: Readable) -> Iterator[Film]:
    """UsageError where the file is not there, has no moving pictures, or larger ones than any
    screen; what FFmpeg refuses besides is for `explained`."""
    import av

    if not is_file(path):
        raise UsageError(f"There is no file {path}.")
    plain = isinstance(path, Path) and _is_utf8(path)
    with (
        nullcontext(str(path)) if plain else path.open("rb") as file,
        av.open(file, "r", metadata_errors="replace") as container,
    ):
        stream = _pictures(path, container)
        if stream.codec_context is None:
            raise UsageError(f"{path} cannot be read: its codec is not known.")
        if stream.width * stream.height > MOST_PIXELS:
            raise UsageError(
                f"{path} cannot be read: a frame has more than {MOST_PIXELS:,} pixels."
            )
        decoder = _decoder(stream)
        decoder.thread_count = 1
        decoder.options = {"max_pixels": str(MOST_PIXELS)}
        yield Film(container, stream, decoder, _aspect(stream))


@contextmanager
def explained(path: Readable) -> Iterator[None]:
    """Whatever FFmpeg or the system refuses becomes a UsageError naming the file."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error


def is_file(path: Readable) -> bool:
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()


def _pictures(path: Readable, container: InputContainer) -> VideoStream:
    """The first stream of moving pictures; a cover is none, also where only its codec tells it
    from the film beside it: not every container marks covers."""
    from av.stream import Disposition

    if not container.streams.video:
        raise UsageError(f"{path} has no video in it.")
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [each for each in container.streams.video if not each.disposition & still]
    if not moving:
        raise UsageError(f"{path} has no video in it, only a cover picture.")
    films = [each for each in moving if _codec(each) not in PICTURES]
    return (films or moving)[0]


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.name if stream.codec_context else ""


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """The stream's own, save where that would drop transparency: VP8 and VP9 keep it aside."""
    from av import VideoCodecContext

    name = WITH_ALPHA.get(stream.codec_context.name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if not name or tags.get("alpha_mode") != "1":
        return stream.codec_context
    decoder = VideoCodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def _aspect(stream: VideoStream) -> float:
    """What the container says, else the codec; 1 where neither says what can be."""
    try:
        aspect = float(stream.sample_aspect_ratio or 1)
    except (ZeroDivisionError, OverflowError):
        return 1.0
    sides = stream.width * max(1.0, aspect) * stream.height
    return aspect if 1 / WIDEST <= aspect <= WIDEST and sides <= MOST_PIXELS else 1.0


def _is_utf8(path: Path) -> bool:
    """Whether FFmpeg can be told its name."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))
