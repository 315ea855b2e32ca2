"""The bank of temporal filters: white noise becomes codes that remember for long or short.

2206.03429, section 3.1: each channel of the noise goes through each of the low-pass filters, whose
lengths are a geometric series. Filters have norm one, so that codes have the noise's variance.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..layers.kaiser import low_pass

if TYPE_CHECKING:
    from .config import Config

CUTOFF, TRANSITION = 2.0, 12.0  # of each filter, where its own sampling rate is a filter's


class FilterBank:
    """Noise to codes. A code depends on the noise of its own frame and of the `reach` frames after
    it: on the last of them alone for what remembers least."""

    def __init__(self, config: Config) -> None:
        self.sizes = config.filters, config.shortest_rate, config.longest_rate
        self.reach = taps_of(config.longest_rate) - 1

    def __call__(self, noise: Tensor) -> Tensor:
        """noise: (B, N, T + reach) -> codes (B, N filters, T), all filters of the first channel
        first. Computed in double precision, so that any cut of the noise gives the same codes."""
        length = noise.shape[-1]
        padded = quick_length(length)
        spectrum = _spectrum(self.sizes, padded, noise.device)
        codes = []
        for one in noise.double():  # one by one: a batch's spectra are large
            product = torch.fft.rfft(one, padded)[:, None] * spectrum
            filtered = torch.fft.irfft(product, padded)[..., : length - self.reach]
            codes.append(filtered.flatten(0, 1).to(noise.dtype))
        return torch.stack(codes)


def taps_of(rate: float) -> int:
    """Frames that the filter of this sampling rate is long."""
    return int(np.ceil(rate / 2))


def rates(filters: int, shortest: float, longest: float) -> list[float]:
    """The filters' sampling rates, of which each is half as many frames long."""
    return np.geomspace(shortest, longest, filters).tolist()


@lru_cache(maxsize=4)
def bank(filters: int, shortest: float, longest: float) -> np.ndarray:
    """float64 (filters, taps of the longest), each of norm one, in the last of its row's places.

    shortest, longest: sampling rates, of which a filter is half as many frames long.
    """
    rows = np.zeros((filters, taps_of(longest)))
    for row, rate in zip(rows, rates(filters, shortest, longest), strict=True):
        taps = low_pass(taps_of(rate), CUTOFF, TRANSITION, rate)
        row[len(row) - len(taps) :] = taps / np.linalg.norm(taps)
    return rows


@lru_cache(maxsize=4)
def _spectrum(sizes: tuple[int, float, float], length: int, device: torch.device) -> Tensor:
    """complex128 (filters, length / 2 + 1), such that a product with it correlates."""
    spectrum = torch.fft.rfft(torch.from_numpy(bank(*sizes)), length)
    return spectrum.conj().resolve_conj().to(device)


def quick_length(least: int) -> int:
    """The next number without prime factors above 5, of which Fourier transforms are quick."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
