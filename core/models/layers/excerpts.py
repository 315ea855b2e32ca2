"""How long the clips are that are learnt from, and their rate, for trainings on excerpts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...data import Source

EXCERPT = 2  # longest excerpts that a clip lasts, where that is a choice
LOOKED_AT = 256  # clips that tell the rate and the length of all


def length(source: Source, index: int, fps: float) -> int:
    """Frames of a clip at that rate, at least 1."""
    return max(1, round(source.duration(index) * fps))


def watched(source: Source, fps: float, span: int) -> Source:
    """The clips, at least EXCERPT times as long as the longest span of frames, where the source can
    tell them so."""
    seconds = max(EXCERPT * span / fps, max(map(source.duration, range(min(2, len(source))))))
    return source.told_for(seconds)


def usual_rate(source: Source) -> float | None:
    """Frames a second, the middle one of the clips'; None where any is as good."""
    rates = [rate for row in _looked_at(source) if (rate := source.rate(row))]
    return float(np.median(rates)) if rates else None


def lengths(source: Source, fps: float) -> np.ndarray:
    """Frames of some of the clips, (N,), of all where these are few."""
    return np.array([length(source, row, fps) for row in _looked_at(source)])


def _looked_at(source: Source) -> list[int]:
    count = min(LOOKED_AT, len(source))
    return [number * len(source) // count for number in range(count)]
