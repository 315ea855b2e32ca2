"""Smooth noise on endless lattices: a value depends on its seed and its place alone.

Places are whole numbers (int64) and a rest (float32), so that what lies a million units away is as
fine as what lies here. Values are float32 in [0, 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # of float32
Whole = NDArray[np.int64]

# The odd multipliers of the 64-bit mixers of SplitMix and of Pelle Evensen's rrmxmx.
_SPLIT, _MIX, _FINISH = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0x94D049BB133111EB)
)
_HALF, _TOP = np.uint64(32), np.uint64(40)


def hashed(seed: int, *places: NDArray[np.integer]) -> Floats:
    """A number in [0, 1) for each lattice point; the places are broadcast against each other."""
    value = np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)  # arrays wrap around silently
    value *= _SPLIT
    for place in places:
        own = np.atleast_1d(np.asarray(place, np.int64)).view(np.uint64) + _SPLIT
        own *= _MIX
        value = value ^ own
        for odd in (_MIX, _FINISH):
            value ^= value >> _HALF
            value *= odd
    value ^= value >> _HALF
    value >>= _TOP
    return value.astype(np.float32) * np.float32(2**-24)


def drawn(seed: int, *places: int) -> float:
    """One such number."""
    return float(hashed(seed, *map(np.array, places))[0])


def eased(rest: Floats) -> Floats:
    """3 r^2 - 2 r^3: from 0 to 1 with level ends."""
    return rest * rest * (3 - 2 * rest)


def between(low: float, high: float, x: NDArray[np.floating] | float) -> Floats:
    """0 below `low`, 1 above `high`, eased between; either may be the larger."""
    return eased(np.clip((np.asarray(x, np.float32) - low) / (high - low), 0, 1).astype(np.float32))


def split(x: NDArray[np.float64]) -> tuple[Whole, Floats]:
    """The whole part and the rest of places."""
    whole = np.floor(x)
    return whole.astype(np.int64), (x - whole).astype(np.float32)


def line(x: NDArray[np.float64], seed: int) -> Floats:
    """Noise along a line, with a value for each whole number: x as it is -> same shape."""
    whole, rest = split(x)
    low = int(whole.min()) if whole.size else 0
    values = hashed(seed, np.arange(low, int(whole.max(initial=low)) + 2))
    at = whole - low
    first = values[at]
    return first + (values[at + 1] - first) * eased(rest)


def fractal(
    x: NDArray[np.float64], seed: int, octaves: int, gain: float = 0.5, ridged: bool = False
) -> Floats:
    """Octaves of `line`, each 2.03 times as fine and `gain` times as high, over their sum.

    ridged: with 1 - |2 n - 1| in each octave's place, whose crests are sharp.
    """
    total, most = np.zeros(x.shape, np.float32), 0.0
    for octave in range(octaves):
        noise = line(x * 2.03**octave + 17.3 * octave, seed + 101 * octave)
        total += gain**octave * (1 - np.abs(2 * noise - 1) if ridged else noise)
        most += gain**octave
    return total / np.float32(most)


def rows(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Floats:
    """Noise in a plane whose second place is the same along a row.

    x: (..., R or 1, W), y: (..., R) -> (..., R, W). Two lines of the lattice are blended for each
    row first, so that a pixel gathers two values, not four; what is hashed lies beside the row
    itself, so that rows far apart cost no more than neighbours.
    """
    across, rest = split(x)
    down, step = split(y)
    left = across.min(axis=-1, keepdims=True)
    across = (across - left).astype(np.int32)
    columns = left + np.arange(int(across.max(initial=0)) + 2)
    blended = hashed(seed, down[..., None], columns)
    blended += (hashed(seed, down[..., None] + 1, columns) - blended) * eased(step)[..., None]
    starts = np.arange(down.size, dtype=np.int32).reshape(*down.shape, 1) * columns.shape[-1]
    at, flat = across + starts, blended.reshape(-1)
    first = flat.take(at)
    at += 1
    second = flat.take(at)
    second -= first
    second *= eased(rest)
    first += second
    return first
