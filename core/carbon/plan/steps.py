"""When to run: the two algorithms of Dodge et al. 2022 in steps, as back-tests count them.

All of them take intensities per step, (N,), the mean of each; durations and slacks are in steps.
Ties go to the earliest.
"""

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...errors import UsageError
from ..values import Mode

Array = NDArray[np.float64]
Blocks = tuple[tuple[int, int], ...]  # first step and the one after the last
_CHUNK = 4_000_000  # values that are sorted at a time


def _window(values: Array, duration: int, slack: int) -> Array:
    """The steps that count. UsageError where there are too few."""
    if duration < 1 or slack < 0:
        raise UsageError("a job lasts at least one step, and its slack is not negative")
    if len(values) < duration + slack:
        raise UsageError(
            f"the job and its slack need {duration + slack} steps, the data has {len(values)}",
            hint="a shorter --duration or --slack, or more data",
        )
    return np.asarray(values[: duration + slack], dtype=np.float64)


def flexible_start(values: Array, duration: int, slack: int) -> Blocks:
    """Flexible Start: one run without a break, begun at the best of the steps 0 to `slack`."""
    window = _window(values, duration, slack)
    first = int(np.argmin(sliding_window_view(window, duration).mean(axis=1)))
    return ((first, first + duration),)


def pause_and_resume(values: Array, duration: int, slack: int) -> Blocks:
    """Pause and Resume: the `duration` cleanest steps of the next duration + slack."""
    window = _window(values, duration, slack)
    chosen = np.sort(np.argsort(window, kind="stable")[:duration]).tolist()
    return joined((step, step + 1) for step in chosen)


def joined(pieces: Iterable[tuple[int, int]]) -> Blocks:
    """Ascending pieces, those that touch as one."""
    blocks: list[tuple[int, int]] = []
    for first, end in pieces:
        if blocks and blocks[-1][1] == first:
            first = blocks.pop()[0]
        blocks.append((first, end))
    return tuple(blocks)


def mean_of(values: Array, blocks: Blocks) -> float:
    """The mean intensity over the blocks."""
    return float(np.mean(np.concatenate([values[first:end] for first, end in blocks])))


def savings(values: Array, duration: int, slack: int, mode: Mode) -> Array:
    """By how many percent each start of the series emits less than starting at once, with the
    future known: (N - duration - slack + 1,)."""
    _window(values, duration, slack)
    runs = sliding_window_view(np.asarray(values, dtype=np.float64), duration).mean(axis=1)
    starts = len(values) - duration - slack + 1
    if slack == 0:
        return np.zeros(starts)
    if mode == "start":
        best = sliding_window_view(runs, slack + 1).min(axis=1)
    else:
        best = _cleanest(values, duration, slack)
    now = runs[:starts]
    return 100 * (1 - np.divide(best[:starts], now, out=np.ones(starts), where=now > 0))


def _cleanest(values: Array, duration: int, slack: int) -> Array:
    """The mean of the `duration` least of every window of duration + slack steps."""
    windows = sliding_window_view(np.asarray(values, dtype=np.float32), duration + slack)
    rows = max(1, _CHUNK // (duration + slack))
    parts = [
        np.partition(windows[first : first + rows], duration - 1, axis=1)[:, :duration].mean(
            axis=1, dtype=np.float64
        )
        for first in range(0, len(windows), rows)
    ]
    return np.concatenate(parts)
