"""Reading videos: what a file holds, and its frames at the moments asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np

from ..errors import UsageError
from .containers import truncation
from .part import Readable
from .picture import fitted, read_picture

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = (".mp4", ".gif", ".webm", ".avi", ".mov", ".mkv", ".m4v")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FOLDER_FPS = 8.0
MOST_PIXELS = 2 * 89_478_485  # of a frame; Pillow takes more in a picture for a bomb
SEEK_SECONDS = 2.0
ROUNDING_SECONDS = 0.005


class Probe(NamedTuple):
    """What a video is: seconds, pixels, pixels, frames a second."""

    duration: float
    width: int
    height: int
    fps: float


def probe(path: Readable | str, fps: float | None = None) -> Probe:
    """Duration, width, height and mean frame rate of a video file or a folder of images.

    Reads the headers, and the packets only where the headers do not say. fps: for a folder of
    images, 8 unless told. Raises UsageError naming the file that cannot be read and why.
    """
    path = _readable(path)
    if _is_folder(path):
        images = image_files(path)
        height, width = read_picture(images[0]).shape[:2]
        rate = fps or FOLDER_FPS
        return Probe(len(images) / rate, width, height, rate)
    with _explained(path), _opened(path) as (container, stream):
        return _declared(path, container, stream) or _measured(container, stream)


def examine(path: Readable | str, fps: float | None = None, least: int = 1) -> Probe:
    """As probe, for a file about to be trusted: it must be whole and give its first frames.

    Raises UsageError when it is cut off, when nothing can be decoded, or when it has fewer than
    `least` frames.
    """
    path, declared = _readable(path), None
    if _is_folder(path):
        found = len(image_files(path))
    else:
        _refuse_truncated(path)
        with _explained(path), _opened(path) as (container, stream):
            declared = _declared(path, container, stream)
            frames = _timed(container, stream, strict=True)
            found = sum(1 for _ in zip(range(least), frames, strict=False))
    if found < least:
        raise UsageError(f"{path} has {found} frames, at least {least} are needed.")
    return declared or probe(path, fps)


def read_frames(
    path: Readable | str,
    times: Sequence[float] | np.ndarray,
    size: tuple[int, int],
    fps: float | None = None,
) -> np.ndarray:
    """The frames shown at `times` (seconds from the first frame), fitted to size =
    (height, width): uint8 (T, height, width, 3).

    Each is the last frame at or before its time, within the rounding of the file's own clock;
    times past the end give the last frame. Damaged packets are skipped, their moments show the
    frame before. Raises UsageError when nothing can be read. fps: for a folder of images, 8 unless
    told.
    """
    path, times = _readable(path), np.maximum(np.asarray(times, float), 0)
    out = np.empty((len(times), *size, 3), np.uint8)
    order = deque(np.argsort(times, kind="stable").tolist())
    shown = None
    with _explained(path):
        for start, frame, slack in _decode_near(
            path, float(times[order[0]]) if order else 0.0, fps
        ):
            if shown is not None:
                _serve(out, times, order, shown, before=start - slack)
            if not order:
                return out
            shown = frame
        if shown is None:
            raise UsageError(f"No frame of {path} can be decoded.")
        _serve(out, times, order, shown, before=np.inf)
    return out


def read_all(path: Path, fps: float | None = None) -> tuple[np.ndarray, float]:
    """Every frame, uint8 (T, H, W, 3), and the rate; uneven frames are sampled at the mean rate.

    Raises UsageError when the file is damaged or cut off anywhere.
    """
    if _is_folder(path):
        frames = [read_picture(image) for image in image_files(path)]
        return _stacked(frames, path), fps or FOLDER_FPS
    starts, frames = [], []
    for start, frame in timed_frames(path):
        starts.append(start)
        frames.append(frame)
    if not frames:
        raise UsageError(f"No frame of {path} can be decoded.")
    duration, _, _, rate = probe(path)
    if not _even(np.array(starts), rate):
        wanted = np.arange(max(1, round(duration * rate))) / rate
        places = np.searchsorted(starts, wanted + ROUNDING_SECONDS, side="right") - 1
        frames = [frames[place] for place in np.maximum(places, 0)]
    return _stacked(frames, path), rate


def timed_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a file as it comes, uint8 (H, W, 3), after the second at which it begins.
    UsageError when the file is damaged or cut off anywhere."""
    _refuse_truncated(path)
    with _explained(path):
        for start, frame in _decode(path):
            yield start, to_rgb(frame)


def images_of(folder: Path) -> list[Path]:
    """The images in a folder, by name."""
    return sorted(filter(is_image, folder.iterdir()))


def is_image(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """The images in a folder, sorted by name. Raises UsageError when there are none."""
    images = images_of(folder)
    if not images:
        raise UsageError(f"The folder {folder} holds no images.")
    return images


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """A decoded frame as it is meant to be seen: uint8 (H, W, 3), turned upright."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.rot90(pixels, round(frame.rotation / 90)) if frame.rotation else pixels


def _is_folder(path: Readable) -> TypeGuard[Path]:
    return isinstance(path, Path) and os.path.isdir(path)


def _is_file(path: Readable) -> bool:
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()


def _readable(path: Readable | str) -> Readable:
    return Path(path) if isinstance(path, str) else path


def _serve(
    out: np.ndarray, times: np.ndarray, order: deque[int], shown: VideoFrame | Path, before: float
) -> None:
    """Write `shown` to every waiting time before `before`."""
    pixels = None
    while order and times[order[0]] < before:
        if pixels is None:
            rgb = read_picture(shown) if isinstance(shown, Path) else to_rgb(shown)
            pixels = fitted(rgb, out.shape[1:3])
        out[order.popleft()] = pixels


def _decode_near(path: Readable, first: float, fps: float | None) -> Iterator[tuple]:
    """(start in seconds, frame, rounding of the clock) in order, from at or before `first` on."""
    if _is_folder(path):
        rate = fps or FOLDER_FPS
        images = image_files(path)
        yield from ((place / rate, image, 1e-6) for place, image in enumerate(images))
        return
    with _opened(path) as (container, stream):
        slack = 1e-6 + min(ROUNDING_SECONDS, float(stream.time_base or 0) / 2)
        for start, frame in _from_key_frame(container, stream, path, first):
            yield start, frame, slack


def _from_key_frame(
    container: InputContainer, stream: VideoStream, path: Readable, first: float
) -> Iterator[tuple[float, VideoFrame]]:
    """As _timed, from the key frame before `first` seconds on where the container can seek."""
    frames = _timed(container, stream, strict=False)
    opening = next(frames, None)
    if opening is None:
        return
    origin = opening[0]
    seekable = opening[1].time is not None and path.suffix.lower() != ".gif"
    if first > SEEK_SECONDS and stream.time_base and seekable:
        for target in (first + origin, origin):
            container.seek(int(target / stream.time_base), stream=stream)
            frames = _timed(container, stream, strict=False)
            opening = next(frames, opening)
            if opening[0] <= first + origin:
                break
    yield opening[0] - origin, opening[1]
    yield from ((time - origin, frame) for time, frame in frames)


def _decode(path: Path) -> Iterator[tuple[float, VideoFrame]]:
    """(seconds since the first frame, frame) in the order of showing; a damaged packet is fatal."""
    with _opened(path) as (container, stream):
        origin = None
        for time, frame in _timed(container, stream, strict=True):
            origin = time if origin is None else origin
            yield time - origin, frame


def _timed(
    container: InputContainer, stream: VideoStream, strict: bool
) -> Iterator[tuple[float, VideoFrame]]:
    """(seconds by the stream's clock, frame); not strict: damaged packets are left out."""
    from av.error import FFmpegError

    count = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            if strict:
                raise
            continue
        for frame in frames:
            guess = count / float(stream.average_rate or FOLDER_FPS)
            yield guess if frame.time is None else frame.time, frame
            count += 1


@contextmanager
def _opened(path: Readable) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream."""
    import av

    if not _is_file(path):
        raise UsageError(f"There is no file {path}.")
    plain = isinstance(path, Path) and _is_utf8(path)
    with (
        nullcontext(str(path)) if plain else path.open("rb") as file,
        av.open(file, "r", metadata_errors="replace") as container,
    ):
        if not container.streams.video:
            raise UsageError(f"{path} has no video in it.")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UsageError(f"{path} cannot be read: its codec is not known.")
        if stream.width * stream.height > MOST_PIXELS:
            raise UsageError(
                f"{path} cannot be read: a frame has more than {MOST_PIXELS:,} pixels."
            )
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container, stream


def _is_utf8(path: Path) -> bool:
    """Whether FFmpeg can be told its name."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


@contextmanager
def _explained(path: Readable) -> Iterator[None]:
    """Whatever FFmpeg or the system refuses becomes a UsageError naming the file."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error


def _declared(path: Readable, container: InputContainer, stream: VideoStream) -> Probe | None:
    """What the headers say; None where they do not say all, or what may not be believed."""
    duration = _declared_duration(container, stream)
    rate = stream.average_rate or stream.guessed_rate
    if not duration or not rate or path.suffix.lower() == ".gif":
        return None
    return Probe(float(duration), stream.width, stream.height, float(rate))


def _declared_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _measured(container: InputContainer, stream: VideoStream) -> Probe:
    """Duration and mean rate from the packets' own times."""
    width, height = stream.width, stream.height
    packets = [p for p in container.demux(stream) if p.size]
    ends = [(p.pts + (p.duration or 0)) for p in packets if p.pts is not None]
    if not ends or not stream.time_base:
        rate = float(stream.guessed_rate or FOLDER_FPS)
        return Probe(len(packets) / rate, width, height, rate)
    duration = float((max(ends) - (stream.start_time or 0)) * stream.time_base)
    rate = _plain_rate(len(packets), duration) if duration else FOLDER_FPS
    return Probe(duration, width, height, rate)


def _refuse_truncated(path: Readable) -> None:
    with _explained(path):
        reason = truncation(path) if _is_file(path) else None
    if reason:
        raise UsageError(f"{path} is cut off: {reason}.")


def _plain_rate(count: int, duration: float) -> float:
    """count / duration, or the whole number it stands for where a duration is rounded to 10 ms."""
    rate = count / duration
    whole = max(1, round(rate))
    return float(whole) if abs(count / whole - duration) < 0.0051 else rate


def _even(starts: np.ndarray, rate: float) -> bool:
    """Whether frames come at a steady rate, up to a clock that ticks coarsely."""
    return bool(np.all(np.abs(np.diff(starts) - 1 / rate) < max(0.011, 0.02 / rate)))


def _stacked(frames: list[np.ndarray], path: Path) -> np.ndarray:
    if len({frame.shape for frame in frames}) > 1:
        raise UsageError(f"The frames of {path} have different sizes.")
    return np.stack(frames)
