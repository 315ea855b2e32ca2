"""What a lesson's pictures and clips are like: how many patches they have, in which shape."""

from __future__ import annotations

from dataclasses import replace
from math import log
from statistics import median
from typing import TYPE_CHECKING, Any

from ...errors import UsageError

if TYPE_CHECKING:
    from ...data import Source
    from .config import Config

LOOKED_AT = 64  # samples that tell how large all are
DRAWN, DRAWN_CLIPS = 3.0, 1.0  # width by height of what is drawn at any size
Grid = tuple[int, int]  # rows and columns of patches


def moves(config: Config, source: Source, index: int) -> bool:
    """Whether a sample gives clips: it is long enough, and the model sees earlier frames."""
    seconds = config.training.frames / config.training.fps
    return (
        config.extent_frames > 0
        and not source.still(index)
        and source.duration(index) >= seconds - 1e-6
    )


def kinds(config: Config, source: Source) -> tuple[bool, bool]:
    """Whether pictures are learnt from the data, and whether clips are."""
    moving = {moves(config, source, index) for index in range(len(source))}
    clips = True in moving and config.training.clips > 0
    return False in moving or not clips or config.training.clips < 1, clips


def fitted(config: Config, source: Source) -> dict[str, Any]:
    """The fields of the configuration that the data decide: the grids of its lessons, and that
    nothing is read by a published encoder where there is nothing to read. UsageError where the
    patches of a lesson do not lie in the rows and columns that are asked for."""
    told, found = config.training, {}
    patches = told.rows * told.columns if told.rows and told.columns else told.patches
    pictures, clips = kinds(config, source)
    if clips:
        there, most = told.clip_rows, _largest(config, source, DRAWN_CLIPS, moving=True)
        if most[0] is None:  # all of the height is shown, and the same is as large in both
            there = there or _grid((told.rows, told.columns), told.patches, None, DRAWN)[0]
        rows, columns = _grid((there, told.clip_columns), patches // told.frames, *most)
        found |= {"clip_rows": rows, "clip_columns": columns}
    if pictures:
        there, most = (told.rows, told.columns), _largest(config, source, DRAWN, moving=False)
        if clips:  # a batch's lessons have as many patches each
            count = told.frames * found["clip_rows"] * found["clip_columns"]
            rows, columns = _exactly(there, count, most[1])
        else:
            rows, columns = _grid(there, told.patches, *most)
        found |= {"rows": rows, "columns": columns}
    wordless = {"text_length": 0} if config.encoder and not source.words() else {}
    return {"training": found, **wordless}


def filled(config: Config, source: Source) -> Config:
    """The configuration with the grids of these data where it has none: weights to start from may
    have learnt no clips yet."""
    training = replace(config.training, **fitted(config, source)["training"])
    return replace(config, training=training)


def _largest(
    config: Config, source: Source, drawn: float, moving: bool
) -> tuple[Grid | None, float]:
    """The rows and columns that fit into the middle one of the samples, and width by height; None
    for what is drawn at any size."""
    step = max(1, len(source) // LOOKED_AT)
    looked_at = range(0, len(source), step)[:LOOKED_AT]
    rows = [n for n in looked_at if moves(config, source, n) == moving] or looked_at
    shapes = [shape for n in rows if (shape := source.shape(n))]
    if not shapes:
        return None, drawn
    height, width = (median(sides) for sides in zip(*shapes, strict=True))
    fits = max(1, int(height // config.side)), max(1, int(width // config.side))
    return fits, width / height


def _grid(
    told: tuple[int | None, int | None], patches: int, most: Grid | None, aspect: float
) -> Grid:
    """As many rows and columns as `patches` and the data allow, in the aspect of the data."""
    if told[0] and told[1]:
        return told[0], told[1]
    limits = most or (patches, patches)
    options = [
        (rows, columns)
        for rows in ([told[0]] if told[0] else range(1, min(limits[0], patches) + 1))
        for columns in ([told[1]] if told[1] else range(1, min(limits[1], patches) + 1))
        if rows * columns <= patches
    ]
    if not options:
        raise UsageError(
            f"a lesson of {patches} patches has not as many in {told[0] or told[1]}",
            f"--set training.patches={told[0] or told[1]}",
        )
    return max(options, key=lambda grid: (grid[0] * grid[1], -_apart(grid, aspect)))


def _exactly(told: tuple[int | None, int | None], count: int, aspect: float) -> Grid:
    """So many patches, in the aspect of the data."""
    whole = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    options = [
        grid for grid in whole if all(t in (None, n) for t, n in zip(told, grid, strict=True))
    ]
    if not options:
        asked = " x ".join(str(n or "any") for n in told)
        raise UsageError(
            f"pictures of {asked} patches have not the {count} of the clips that they are learnt "
            "together with",
            "--set training.clips=0 learns pictures alone",
        )
    return min(options, key=lambda grid: _apart(grid, aspect))


def _apart(grid: Grid, aspect: float) -> float:
    return abs(log(grid[1] / grid[0] / aspect))
