"""A data set as ordinary files: videos and a metadata.csv that any other tool can read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..files import atomic_write, make_folder
from ..media.clip import Clip
from ..media.video import write_clip
from .source import Source


def render_folder(
    source: Source,
    out_dir: Path | str,
    count: int | None = None,
    size: tuple[int, int] = (64, 64),
    fps: float = 8.0,
    on_progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the first `count` samples as 00000.mp4 ... and metadata.csv, and return the latter;
    of a source of pictures as 00000.png ...

    size: (height, width) in pixels, of videos even. on_progress(done, count) is called after each
    file. The metadata come last, so a folder that has them is complete. Raises UsageError for a
    folder that holds something already without `overwrite`, or for a count beyond the source's.
    """
    count = len(source) if count is None else count
    if not 1 <= count <= len(source):
        raise UsageError(f"count must be 1 to {len(source)}, got {count}.")
    if not source.pictures and (min(size) < 2 or any(side % 2 for side in size)):
        raise UsageError(f"sides must be even and at least 2, got {size[1]}x{size[0]}.")
    out_dir = make_folder(Path(out_dir))
    if any(out_dir.iterdir()) and not overwrite:
        raise UsageError(f"The folder {out_dir} is not empty.", "Add --force to write into it.")
    rows = []
    for index in range(count):
        rows.append(_render_one(source, index, out_dir, size, fps))
        if on_progress:
            on_progress(index + 1, count)
    return write_metadata(out_dir / "metadata.csv", rows)


def _render_one(
    source: Source, index: int, out_dir: Path, size: tuple[int, int], fps: float
) -> dict[str, str | int]:
    moments = 1 if source.pictures else max(1, round(source.duration(index) * fps))
    frames, _ = source.frames(index, np.arange(moments) / fps, size)
    name = f"{index:05d}.{'png' if source.pictures else 'mp4'}"
    write_clip(Clip(frames, fps), out_dir / name, scale=1, overwrite=True)
    text = source.caption(index, np.random.default_rng(index))
    return {"file_name": name, "text": text, **source.facts(index)}


def write_metadata(path: Path, rows: Sequence[Mapping[str, str | int]]) -> Path:
    """metadata.csv with a line for each row; the first one has the columns."""
    with atomic_write(path, "w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
