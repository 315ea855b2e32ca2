"""The rounds of iterative super-resolution: which fine codes are drawn anew in each."""

import numpy as np

from .config import TILE

# As published: a code is drawn anew in the rounds up to its priority, so those of 0 and less never.
PRIORITIES = (
    (-1, 0, 1, 2, 3, 4),
    (0, -1, 2, -1, -2, 5),
    (1, -2, 3, 4, 5, 6),
    (2, 3, 4, 5, -1, 1),
    (3, -1, -2, 0, -1, 2),
    (4, 5, 6, 1, 3, -2),
)
ROUNDS = (40, 40, 40, 20, 20, 10)  # of the likeliest codes, how many are drawn from in each


def priorities(grid: int) -> np.ndarray:
    """(M,): how often each of grid x grid fine codes is drawn anew, row after row."""
    times = grid // TILE
    return np.tile(PRIORITIES, (times, times)).ravel()
