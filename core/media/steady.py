"""A clip's frames at a steady rate as they come, in memory that does not grow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from .decode import probe, timed_frames
from .video import read_clip


class Steady(NamedTuple):
    """frames: uint8 (H, W, 3) each, to be taken once; fps: frames a second; count: of them."""

    frames: Iterator[np.ndarray]
    fps: float
    count: int


def steady(path: Path | str) -> Steady:
    """The frames of a video, or of a png written by write_clip. Where they come unevenly, at each
    moment of the mean rate the nearest.

    UsageError for a file that cannot be read, at once or when the frames come to where it breaks.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder, no video.")
    if path.suffix.lower() == ".png":
        clip = read_clip(path)
        return Steady(iter(clip.frames), clip.fps, len(clip.frames))
    found = probe(path)
    count = max(1, round(found.duration * found.fps))
    return Steady(_nearest(path, found.fps, count), found.fps, count)


def _nearest(path: Path, fps: float, count: int) -> Iterator[np.ndarray]:
    number, shown = 0, None
    for start, frame in timed_frames(path):
        while shown is not None and number < count and (number + 0.5) / fps <= start:
            yield shown
            number += 1
        shown = frame
    if shown is None:
        raise UsageError(f"No frame of {path} can be decoded.")
    for _ in range(number, count):
        yield shown
