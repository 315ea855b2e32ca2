"""Which frames of clips are learnt from, and what the data decide of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.excerpts import lengths, usual_rate, watched
from .config import HALVINGS, Config

if TYPE_CHECKING:
    from ...data import Source

FEWEST = 16  # frames that are judged at once
# No size of the networks: trainings that begin from weights may choose anew.
FREE = ("fps", "low_gamma", "super_gamma", "augment_target", "clips")


def learnt(config: Config, source: Source) -> Source:
    """The clips, twice as long as what is judged at once, where the source can tell them so."""
    return watched(source, config.fps, config.frames)


def fitted(config: Config, source: Source) -> dict[str, Any]:
    """The fields of the configuration that the data decide: the rate, the middle one of the clips'
    where they have one; and how many frames are judged at once, no more than the middle one of the
    clips has."""
    told = config.fps != Config.fps  # by the user
    fps = config.fps if told else usual_rate(source) or config.fps
    usual = int(np.median(lengths(watched(source, fps, config.frames), fps)))
    multiple = 1 << HALVINGS
    frames = max(FEWEST, min(config.frames, usual) // multiple * multiple)
    return {"fps": fps, "frames": frames}


def begins(room: np.ndarray, frames: int, numbers: np.ndarray) -> np.ndarray:
    """int64 (N,), the first of `frames` frames in each of clips of `room` (N,) frames, each place
    as likely; numbers: (N,) in [0, 1). 0 in a clip that is shorter."""
    return (numbers * np.maximum(room - frames + 1, 1)).astype(np.int64)
