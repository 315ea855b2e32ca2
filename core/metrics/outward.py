"""Does what is near move outwards, as it does for somebody who rides forward?

Of neighbouring frames, strips of the lower half at the left and at the right are looked for again,
moved sideways. Of 12 rides of vistas all move outwards, and inwards if they are played backwards.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

REACH, WIDTH = 10, 4  # parts of a frame's width: how far a strip may move, and how wide it is


def outward(frames: np.ndarray) -> float:
    """RGB uint8 (T, H, W, 3) -> by how many pixels a frame the right moves to the right and the
    left to the left, in the mean of both; less than 0 where they come together."""
    gray = frames[:, frames.shape[1] // 2 :].mean(axis=-1, dtype=np.float32)
    width = gray.shape[-1]
    reach = max(1, width // REACH)
    strip = max(1, width // WIDTH)
    right, left = width - reach - strip, reach
    steps = [
        moved(a, b, right, strip, reach) - moved(a, b, left, strip, reach)
        for a, b in pairwise(gray)
    ]
    return float(np.mean(steps)) / 2


def moved(before: np.ndarray, after: np.ndarray, start: int, strip: int, reach: int) -> float:
    """Grey pictures (H, W): by how many columns what lies in a strip of `before` lies to the right
    in `after`, where they differ least; between whole columns by a parabola."""
    own, ways = before[:, start : start + strip], range(-reach, reach + 1)
    errors = [np.abs(after[:, start + way : start + way + strip] - own).mean() for way in ways]
    best = int(np.argmin(errors))
    if best in (0, 2 * reach):
        return float(ways[best])
    first, middle, last = (float(error) for error in errors[best - 1 : best + 2])
    bend = first - 2 * middle + last
    return ways[best] + ((first - last) / (2 * bend) if bend > 0 else 0.0)
