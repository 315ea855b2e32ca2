"""Clips drawn once, as strips of frames in a table, for trainings that look at them again and
again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ...data import Source
from ...data.table import Fill, Table, build_table
from ...errors import UsageError
from ...training.events import OnEvent
from .pixels import noter, teller


def strips_table(
    source: Source,
    rows: int,
    frames: int,
    fps: float,
    size: int,
    cache: Path,
    workers: int,
    on_event: OnEvent,
) -> Table:
    """`frames` frames of the first `rows` clips: uint8 (clips, frames, size, size, 3).

    A clip that ends sooner stands still at its last frame.
    """
    rows = min(len(source), rows)
    fill = partial(_strip, source, frames, fps, size)
    shape, key = (frames, size, size, 3), f"{source.fingerprint()} {frames} {float(fps)} {size}"
    path = cache / f"strips-{size}.bin"
    return clips_table(source, rows, shape, fill, fps, path, key, workers, on_event)


def clips_table(
    source: Source,
    rows: int,
    shape: tuple[int, int, int, int],
    fill: Fill,
    fps: float,
    path: Path,
    key: str,
    workers: int,
    on_event: OnEvent,
) -> Table:
    """fill(row), uint8 of `shape`, for each of the first `rows` clips; `fill` can be pickled.
    UsageError where none of them lasts as long as a frame."""
    if all(source.duration(clip) < 1 / fps for clip in range(rows)):
        raise UsageError(
            f"no clip of {source.name} lasts {1 / fps:g} s, the time of one frame",
            hint=f"--set fps={4 * fps:g}",
        )
    return build_table(
        path,
        rows,
        shape,
        np.uint8,
        fill,
        workers=workers,
        on_progress=teller("clips", on_event),
        on_note=noter(on_event),
        key=key,
    )


def _strip(source: Source, frames: int, fps: float, size: int, clip: int) -> np.ndarray:
    return source.frames(clip, np.arange(frames) / fps, (size, size))[0]
