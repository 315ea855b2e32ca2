"""Clips from files of many kinds, and into mp4, webm, gif and png."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from .clip import Clip
from .decode import read_all
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
    Raises UsageError for another suffix, an existing file without `overwrite`, or a folder that is
    missing or closed; DlnError for a full disk.
    """
    return encode(Stream.of(clip), Path(path), receipt, scale, overwrite)


def write_stream(
    stream: Stream,
    path: Path | str,
    receipt: dict[str, Any] | None = None,
    scale: int | None = None,
    overwrite: bool = False,
) -> Path:
    """As write_clip, for frames that are still to come: mp4 and webm are written as they do, in
    memory that does not grow. gif and png take all frames at once; too many are a UsageError."""
    return encode(stream, Path(path), receipt, scale, overwrite)


def read_clip(path: Path | str, fps: float | None = None) -> Clip:
    """All frames of a video, of a png written by write_clip, or of a folder of images.

    A file whose frames come unevenly is sampled at its mean rate. fps: for a folder of images, 8
    unless told. Raises UsageError naming a file that cannot be read, and why.
    """
    path = Path(path)
    frames, rate = read_sheet(path) if path.suffix.lower() == ".png" else read_all(path, fps)
    return Clip(frames, rate)


def roundtrip(clip: Clip, suffix: str, scale: int | None = None) -> np.ndarray:
    """The frames a reader would get from the clip's file: (T, H, W, 3), by the same encoder.

    To check a file against a clip made again: compare(read_clip(file).frames, roundtrip(...)).
    """
    with tempfile.TemporaryDirectory() as folder:
        return read_clip(write_clip(clip, Path(folder) / f"clip{suffix}", scale=scale)).frames


def compare(ours: np.ndarray, theirs: np.ndarray) -> tuple[int, int] | None:
    """None when two stacks of frames are equal, else (first differing frame, largest difference).

    The difference is over all frames, in levels of 0 to 255. Stacks of different length differ at
    the first frame that one of them lacks, if not before. Raises UsageError for different sizes.
    """
    if ours.shape[1:] != theirs.shape[1:]:
        sizes = [f"{frames.shape[2]}x{frames.shape[1]}" for frames in (ours, theirs)]
        raise UsageError(f"The clips have different sizes, {sizes[0]} and {sizes[1]}.")
    count = min(len(ours), len(theirs))
    distance = np.abs(ours[:count].astype(np.int16) - theirs[:count]).reshape(count, -1).max(1)
    if distance.any():
        return int(np.argmax(distance > 0)), int(distance.max())
    return None if len(ours) == len(theirs) else (count, 255)
