"""Does a clip go on from the picture that it was given? Seen by the picture's edges.

A model that never learned of such pictures keeps one for a frame, if at all, and then shows what it
knows. Colours may agree by chance, edges hardly: the gradients of the picture's brightness are
correlated with those of the frames after it. Frames of the built-in world give 0.15 and more with
the bundled models, pictures of another kind 0.07 at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..media.picture import picture
from ..media.stream import Stream

LEAST = 0.09  # correlation of edges below which nothing of a picture is left
FEW, LEAST_OF_FEW = 15, 0.04  # frames in which what moves may not come back, and what says so
FEWEST = 3  # frames that say anything
MEASURED = 64  # frames
BLENDED = 2  # frames at a picture that it may shine through, whatever the model knows


def watched(
    stream: Stream, image: str | None, last: str | None, note: Callable[[str], None]
) -> Stream:
    """The same stream; when it has been taken, `note` is told of each picture, by its file, that
    the clip does not begin or end with by more than a frame or two; a banded picture is no clip."""
    if stream.banded or (image is None and last is None):
        return stream
    kept: list[np.ndarray] = []

    def passing() -> Iterator[np.ndarray]:
        for block in stream:
            kept.extend(frame.copy() for frame in block[: max(0, MEASURED - len(kept))])
            yield block
        for path, frames in ((image, kept[BLENDED:]), (last, kept[: -BLENDED - 1])):
            if path is None or len(frames) < FEWEST:
                continue
            found = likeness(path, frames)
            if found < (LEAST if len(frames) >= FEW else LEAST_OF_FEW):
                note(
                    f"the model does not know how to go on from {Path(path).name}: beyond two "
                    f"frames, {max(found, 0):.0%} of its edges are found again"
                )

    return Stream(passing(), stream.fps, stream.size, stream.frames)


def likeness(path: str, frames: list[np.ndarray]) -> float:
    """The largest correlation of a picture's edges with those of a frame, uint8 (H, W, 3) each."""
    given = edges(picture(path, (frames[0].shape[0], frames[0].shape[1])))
    return max(correlation(given, edges(frame)) for frame in frames)


def edges(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> how its brightness changes down and across, in one row."""
    grey = pixels.mean(axis=-1)
    return np.concatenate([np.diff(grey, axis=axis).ravel() for axis in (0, 1)])


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of -1 to 1; 0 where one of them has no edge at all."""
    product = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / product) if product > 0 else 0.0
