"""Which world data are of: its labels are what a recognizer learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from .config import WORLDS

if TYPE_CHECKING:
    from ...data import Source


def world_of(source: Source) -> str:
    """One of WORLDS. UsageError for data that do not say what is seen."""
    world = source.name.partition(",")[0]
    if world not in WORLDS:
        raise UsageError(
            f"{source.name} does not say what its clips show: the labels of {' and '.join(WORLDS)} "
            "are what a recognizer learns",
            hint="dln train recognizer --data vistas",
        )
    return world
