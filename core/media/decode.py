"""Reading videos: what a file holds, and its frames at the moments asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np

from ..errors import UsageError
from .containers import truncation
from .measure import ROUNDING_SECONDS, USUAL_FPS, Measure, Probe
from .names import image_files
from .notes import Notes
from .opened import Film, Hear, explained, is_file, opened
from .part import Readable
from .picture import fitted, read_picture
from .upright import as_shown

if TYPE_CHECKING:
    from av import VideoFrame

FOLDER_FPS = 8.0
SEEK_SECONDS = 2.0

Stopped = Callable[[], bool]  # whether nobody waits any more
Pixels = Callable[[], np.ndarray]  # a picture that is made when it is wanted: uint8 (H, W, 3)


class Examined(NamedTuple):
    """What a whole video is, and what its reader should know of it ("it is interlaced ...")."""

    probe: Probe
    notes: tuple[str, ...] = ()


def probe(path: Readable | str, fps: float | None = None) -> Probe:
    """Duration, width, height and mean frame rate of a video file or a folder of images, as it is
    shown: upright, its pixels square, from the first picture's beginning to the last one's end.

    Reads the packets' times and one frame. fps: for a folder of images, 8 unless told. Raises
    UsageError naming the file that cannot be read and why.
    """
    path = _readable(path)
    if _is_folder(path):
        return _of_images(image_files(path), fps)
    with explained(path), opened(path) as film:
        measure = Measure(film)
        for frame in film.frames(strict=False, hear=measure.hear):
            if frame is not None:
                measure.see(frame)
                break
        for packet in film.container.demux(film.stream):
            measure.hear(packet)
        return measure.probe()


def never() -> bool:
    return False


def examine(path: Readable | str, fps: float | None = None, stopped: Stopped = never) -> Examined:
    """As probe, for a file about to be trusted: every frame is decoded, one after the other.

    Raises UsageError when it is cut off, when nothing can be decoded, or where it breaks, and once
    it is `stopped`.
    """
    path = _readable(path)
    if _is_folder(path):
        images = image_files(path)
        for image in images:
            read_picture(image)
        return Examined(_of_images(images, fps))
    _refuse_truncated(path)
    with explained(path), opened(path) as film:
        measure, notes = Measure(film), Notes(film)
        for _, frame in _timed(path, film, strict=True, hear=measure.hear):
            measure.see(frame)
            notes.see(frame)
            if stopped():
                raise UsageError(f"{path} has not been read to its end.")
        if not measure.frames:
            raise UsageError(f"No frame of {path} can be decoded.")
        if lost := measure.lost():
            raise UsageError(f"{path} is cut off or damaged: {lost}.")
        return Examined(measure.probe(), notes.told())


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
    with explained(path):
        for start, pixels, slack in _decode_near(
            path, float(times[order[0]]) if order else 0.0, fps
        ):
            if shown is not None:
                _serve(out, times, order, shown, before=start - slack)
            if not order:
                return out
            shown = pixels
        if shown is None:
            raise UsageError(f"No frame of {path} can be decoded.")
        _serve(out, times, order, shown, before=np.inf)
    return out


def read_all(path: Path, fps: float | None = None) -> tuple[np.ndarray, float]:
    """Every frame, uint8 (T, H, W, 3), and the rate; uneven frames are sampled at the rate that the
    file names.

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
        rate = _named_rate(path) or rate
        wanted = np.arange(max(1, round(duration * rate))) / rate
        places = np.searchsorted(starts, wanted + ROUNDING_SECONDS, side="right") - 1
        frames = [frames[place] for place in np.maximum(places, 0)]
    return _stacked(frames, path), rate


def timed_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a file as it comes, uint8 (H, W, 3), after the second at which it begins.
    UsageError when the file is damaged or cut off anywhere."""
    _refuse_truncated(path)
    with explained(path), opened(path) as film:
        for start, frame in _from_first(_timed(path, film, strict=True)):
            yield start, as_shown(frame, film.aspect)


def _is_folder(path: Readable) -> TypeGuard[Path]:
    return isinstance(path, Path) and os.path.isdir(path)


def _readable(path: Readable | str) -> Readable:
    return Path(path) if isinstance(path, str) else path


def _of_images(images: Sequence[Path], fps: float | None) -> Probe:
    height, width = read_picture(images[0]).shape[:2]
    rate = fps or FOLDER_FPS
    return Probe(len(images) / rate, width, height, rate)


def _serve(
    out: np.ndarray, times: np.ndarray, order: deque[int], shown: Pixels, before: float
) -> None:
    """Write `shown` to every waiting time before `before`."""
    pixels = None
    while order and times[order[0]] < before:
        if pixels is None:
            pixels = fitted(shown(), out.shape[1:3])
        out[order.popleft()] = pixels


def _decode_near(
    path: Readable, first: float, fps: float | None
) -> Iterator[tuple[float, Pixels, float]]:
    """(start in seconds, picture, rounding of the clock) in order, from at or before `first` on."""
    if _is_folder(path):
        rate = fps or FOLDER_FPS
        for place, image in enumerate(image_files(path)):
            yield place / rate, partial(read_picture, image), 1e-6
        return
    with opened(path) as film:
        slack = 1e-6 + min(ROUNDING_SECONDS, float(film.stream.time_base or 0) / 2)
        for start, frame in _from_key_frame(path, film, first):
            yield start, partial(as_shown, frame, film.aspect), slack


def _from_key_frame(path: Readable, film: Film, first: float) -> Iterator[tuple[float, VideoFrame]]:
    """Seconds since the first frame and frame, from the key frame before `first` seconds on where
    the container can seek."""
    frames = _timed(path, film, strict=False)
    opening = next(frames, None)
    if opening is None:
        return
    origin = opening[0]
    seekable = opening[1].time is not None and path.suffix.lower() != ".gif"
    if first > SEEK_SECONDS and film.stream.time_base and seekable:
        for target in (first + origin, origin):
            film.seek(target)
            frames = _timed(path, film, strict=False)
            opening = next(frames, opening)
            if opening[0] <= first + origin:
                break
    yield opening[0] - origin, opening[1]
    yield from ((time - origin, frame) for time, frame in frames)


def _from_first(
    frames: Iterator[tuple[float, VideoFrame]],
) -> Iterator[tuple[float, VideoFrame]]:
    """Times since the first frame's."""
    origin = None
    for time, frame in frames:
        origin = time if origin is None else origin
        yield time - origin, frame


def _timed(
    path: Readable, film: Film, strict: bool, hear: Hear | None = None
) -> Iterator[tuple[float, VideoFrame]]:
    """(seconds by the stream's clock, frame) in the order of showing; not strict: what is damaged
    is left out, strict: it is a UsageError that tells where."""
    step = 1 / float(film.stream.average_rate or USUAL_FPS)
    origin = time = 0.0
    for count, frame in enumerate(film.frames(strict, hear)):
        if frame is None and not count:
            raise UsageError(f"No frame of {path} can be decoded.")
        if frame is None:
            where = f"after {count} frame{'' if count == 1 else 's'}, {time + step - origin:.2f} s"
            raise UsageError(f"{path} is damaged: {where}, it cannot be decoded.")
        time = count * step if frame.time is None else frame.time
        origin = origin if count else time
        yield time, frame


def _refuse_truncated(path: Readable) -> None:
    with explained(path):
        reason = truncation(path) if is_file(path) else None
    if reason:
        raise UsageError(f"{path} is cut off: {reason}.")


def _named_rate(path: Path) -> float | None:
    """Frames a second by the file's own word."""
    with explained(path), opened(path) as film:
        rate = film.stream.average_rate or film.stream.guessed_rate
        return float(rate) if rate and film.container.format.name != "gif" else None


def _even(starts: np.ndarray, rate: float) -> bool:
    """Whether frames come at a steady rate, up to a clock that ticks coarsely."""
    return bool(np.all(np.abs(np.diff(starts) - 1 / rate) < max(0.011, 0.02 / rate)))


def _stacked(frames: list[np.ndarray], path: Path) -> np.ndarray:
    if len({frame.shape for frame in frames}) > 1:
        raise UsageError(f"The frames of {path} have different sizes.")
    return np.stack(frames)
