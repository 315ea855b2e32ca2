"""Clips drawn once, as strips of frames in a table, for trainings that look at them again and
again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ...data import Source
from ...data.table import Table, build_table
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
    if all(source.duration(clip) < 1 / fps for clip in range(rows)):
        raise UsageError(
            f"no clip of {source.name} lasts {1 / fps:g} s, the time of one frame",
            hint=f"--set fps={4 * fps:g}",
        )
    return build_table(
        cache / f"strips-{size}.bin",
        rows,
        (frames, size, size, 3),
        np.uint8,
        partial(_strip, source, frames, fps, size),
        workers=workers,
        on_progress=teller("clips", on_event),
        on_note=noter(on_event),
        key=f"{source.fingerprint()} {frames} {float(fps)} {size}",
    )


def _strip(source: Source, frames: int, fps: float, size: int, clip: int) -> np.ndarray:
    return source.frames(clip, np.arange(frames) / fps, (size, size))[0]
