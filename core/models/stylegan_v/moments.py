"""Which moments of a clip are learnt from, and what the data decide of the configuration.

2112.14683, section 3.3: a few frames of a clip, sparsely; times in frames of the data's rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.excerpts import lengths, usual_rate, watched
from .config import FRAMES, Config

if TYPE_CHECKING:
    from ...data import Source

CHOICES = 4  # numbers that one clip's moments hang on
# What trainings that begin from weights may choose anew: no network's size hangs on it, but for the
# side, in which they grow.
FREE = ("side", "fps", "longest_span", "gamma", "augment_target", "clips")


def drawn_moments(
    frames: np.ndarray, longest: int, numbers: np.ndarray, whole: bool = True
) -> np.ndarray:
    """Moments of clips of `frames` (N,) frames, from numbers (N, CHOICES) drawn evenly from [0, 1):
    float32 (N, FRAMES), ascending.

    From the first to the last it is 2, 4, 8 ... frames, at most `longest`, each span as likely; the
    one between lies on another frame. A clip too short for any of them is seen from its first frame
    to its last, which may be the same. Not whole: up to a frame later.
    """
    last = frames - 1
    room = np.minimum(last, longest)
    spans = np.log2(np.maximum(room, 1)).astype(int)  # how many there are to choose from
    power, between, first, later = numbers.T
    span = np.where(spans > 0, 2 ** (1 + (power * spans).astype(int)), room)
    middle = np.where(spans > 0, 1 + np.floor(between * (span - 1)), span / 2)
    begin = np.floor(first * (last - span + 1)) + (0 if whole else later)
    return np.stack([begin, begin + middle, begin + span], axis=1).astype(np.float32)


def fitted(config: Config, source: Source) -> dict[str, Any]:
    """The fields of the configuration that the data decide: the classes; the rate, the middle one
    of the clips' where they have one; and the longest span, of which no clip may be long enough."""
    told = config.fps != Config.fps  # by the user
    fps = config.fps if told else usual_rate(source) or config.fps
    source = watched(source, fps, config.longest_span)
    longest = int(lengths(source, fps).max()) - 1
    span = max(FRAMES - 1, min(config.longest_span, longest))
    classes = tuple(source.classes) if len(source.classes) > 1 else ()
    return {"classes": classes, "fps": fps, "longest_span": span}
