"""Data sets: the built-in menagerie, or a folder of your own videos."""

from pathlib import Path

from ..errors import UsageError, closest
from .source import Source

__all__ = ["Source", "open_source"]

BUILT_IN = ("menagerie",)


def open_source(
    spec: str, *, count: int | None = None, seed: int = 0, held_out: bool | None = False
) -> Source:
    """The data set that `spec` names: "menagerie" or the directory of a folder of videos.

    count: how many clips (menagerie: 12000 unless told; folder: all unless told, the first
    `count` otherwise). seed and held_out choose the menagerie's stories: held_out False leaves
    out the pairs kept for evaluation, True draws only those, None draws from all.
    Raises UsageError for anything else.
    """
    if spec in BUILT_IN:
        from .menagerie.source import DEFAULT_COUNT, Menagerie

        return Menagerie(DEFAULT_COUNT if count is None else count, seed, held_out)
    if Path(spec).is_dir():
        from .folder import Folder

        return Folder(spec, count=count)
    if Path(spec).is_file():
        raise UsageError(
            f"--data takes a folder, and {spec} is a file.",
            "Give the folder that holds the videos and metadata.csv.",
        )
    raise UsageError(
        f"There is no data set or folder named {spec!r}.{closest(spec, BUILT_IN)}",
        "Data sets: menagerie, or the path of a folder with videos and metadata.csv.",
    )
