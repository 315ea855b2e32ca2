"""What pictures and clips show, in words: one file, or a folder that has no captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.folder import Folder
from ..data.render import write_metadata
from ..data.report import Problem
from ..errors import UsageError
from ..models.registry import load
from ..progress import OnProgress, unheard

if TYPE_CHECKING:
    from ..data.source import Source
    from ..models.engine import Engine
    from ..models.package import Loaded


@dataclass(frozen=True)
class Told:
    """metadata: the file that was written, of so many clips; problems: of files that are not."""

    metadata: Path
    clips: int
    problems: list[Problem]


def caption_file(loaded: Loaded, file: Path, engine: Engine, frames: int) -> tuple[str, int]:
    """What a picture or a clip shows, and how many frames of it were looked at. UsageError for a
    file that cannot be read."""
    source = Folder(file, wordless=True)
    seen = looks(source, 0, frames, loaded.model.config.image_size)
    return load(loaded.about).caption(engine, loaded.model, seen), len(seen)


def caption_folder(
    loaded: Loaded,
    folder: Path,
    engine: Engine,
    frames: int,
    on_progress: OnProgress = unheard,
) -> Told:
    """Write metadata.csv with what each clip and picture of a folder shows, in place of what it has
    of captions; other columns of those are kept. UsageError where nothing can be read."""
    source, system = Folder(folder, wordless=True), load(loaded.about)
    rows, problems = [], list(source.report.problems)
    columns = dict.fromkeys(name for index in range(len(source)) for name in source.extra(index))
    for index in range(len(source)):
        name = source.file(index)
        if not is_utf8(name):
            problems.append(Problem(name, "malformed", "its name is not UTF-8"))
            continue
        seen = looks(source, index, frames, loaded.model.config.image_size)
        text = system.caption(engine, loaded.model, seen)
        others = {column: source.extra(index).get(column, "") for column in columns}
        rows.append({"file_name": name, "text": text, **others})
        on_progress(index + 1, len(source), "clips")
    if not rows:
        raise UsageError(f"no file of {folder} has a name that a table can hold")
    return Told(write_metadata(folder / "metadata.csv", rows), len(rows), problems)


def looks(source: Source, index: int, frames: int, size: int) -> np.ndarray:
    """Frames in the middles of equal parts of a clip, one of what stands still: uint8
    (F, size, size, 3)."""
    count = 1 if source.still(index) else frames
    times = (np.arange(count) + 0.5) / count * source.duration(index)
    return source.frames(index, times, (size, size))[0]


def is_utf8(name: str) -> bool:
    """Whether a table can hold the name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
