"""Clips from files of many kinds, and into mp4, webm, gif and png."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from .clip import Clip
from .decode import read_all, timed_frames
from .encode import encode
from .sheet import read_sheet
from .stream import Stream


def write_clip(
    clip: Clip,
    path: Path | str,
    receipt: dict[str, Any] | None = None,
    scale: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the clip atomically, in the format that the suffix names, and return the path.

    .mp4 (H.264), .webm (VP9), .gif, or .png (all frames in a row). receipt: kept in the file's
    own metadata. scale: how many pixels a side each pixel becomes; None picks a watchable size.
    The same clip gives the same bytes. Sides of mp4 and webm are made even by repeating an edge.
    Raises UsageError for another suffix, a rate that the format cannot tell, an existing file
    without `overwrite`, or a folder that is missing or closed; DlnError for a full disk.
    """
    return encode(Stream.of(clip), Path(path), receipt, scale, overwrite)


def write_stream(
    stream: Stream,
    path: Path | str,
    receipt: dict[str, Any] | None = None,
    scale: int | None = None,
    overwrite: bool = False,
    sound: Path | None = None,
) -> Path:
    """As write_clip, for frames that are still to come: mp4 and webm are written as they do, in
    memory that does not grow. gif and png take all frames at once; too many are a UsageError.

    sound: a file whose sound goes with the frames of an mp4 (AAC) or a webm (Opus), from its
    beginning: cut where they end, silent where it ends before. UsageError where it has none.
    """
    return encode(stream, Path(path), receipt, scale, overwrite, sound)


def read_clip(path: Path | str, fps: float | None = None) -> Clip:
    """All frames of a video, of a png written by write_clip, or of a folder of images.

    A file whose frames come unevenly is sampled at its mean rate. fps: for a folder of images, 8
    unless told. Raises UsageError naming a file that cannot be read, and why.
    """
    path = Path(path)
    frames, rate = read_sheet(path) if path.suffix.lower() == ".png" else read_all(path, fps)
    return Clip(frames, rate)


def frames_of(path: Path) -> Iterator[np.ndarray]:
    """The frames of a file as they are, (H, W, 3) each, one after the other. Errors as
    read_clip."""
    if path.suffix.lower() == ".png":
        yield from read_sheet(path)[0]
    else:
        yield from (frame for _, frame in timed_frames(path))


def compare(ours: Iterable[np.ndarray], theirs: Iterable[np.ndarray]) -> tuple[int, int] | None:
    """None when two clips, (H, W, 3) each frame, are equal, else (first differing frame, largest
    difference).

    The difference is over all frames, in levels of 0 to 255. Clips of different length differ at
    the first frame that one of them lacks, if not before. Raises UsageError for different sizes.
    """
    first, largest = None, 0
    for number, (a, b) in enumerate(zip_longest(ours, theirs)):
        if a is None or b is None:
            return (number, 255) if first is None else (first, largest)
        if a.shape != b.shape:
            sizes = [f"{frame.shape[1]}x{frame.shape[0]}" for frame in (a, b)]
            raise UsageError(f"The clips have different sizes, {sizes[0]} and {sizes[1]}.")
        if not np.array_equal(a, b):
            first = number if first is None else first
            largest = max(largest, int(np.abs(a.astype(np.int16) - b).max()))
    return None if first is None else (first, largest)
