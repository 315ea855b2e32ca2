"""Frames that are given: reconstruction guidance, and the replacement method (2204.03458, 3.1).

Both wrap a denoiser, so that every sampler works with them. Where x is known, the denoiser says
so; the samplers then move z there as the forward process would (q(z_s | z_t, x)), which is the
replacement. Guidance adds to what is unknown the pull of how well the known is reconstructed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import tensors
from .samplers import Denoise, alpha_sigma

if TYPE_CHECKING:
    from torch import Tensor

# denoise(z, log_snr, loss) -> clean x and the gradient of loss(x), of a tensor, with respect to z
Pulled = Callable[[np.ndarray, float, "Callable[[Tensor], Tensor]"], tuple[np.ndarray, np.ndarray]]


def replacement(denoise: Denoise, known: np.ndarray, given: np.ndarray) -> Denoise:
    """known: like z, given: (F,) bool, the frames of `known` that are fixed."""
    fixed = given.reshape(1, -1, 1, 1, 1)

    def replaced(z: np.ndarray, log_snr: float) -> np.ndarray:
        return np.where(fixed, known, denoise(z, log_snr))

    return replaced


def reconstruction(denoise: Pulled, known: np.ndarray, given: np.ndarray, weight: float) -> Denoise:
    """Replacement where frames are given, guidance by them elsewhere (equation 7).

    x_b = x_b - (weight alpha / 2) d ||known - x_a(z)||^2 / d z_b.
    """
    fixed = given.reshape(1, -1, 1, 1, 1)

    def missed(x: Tensor) -> Tensor:
        there: dict[str, Any] = tensors({"fixed": fixed, "known": known})
        missing = there["known"].to(x) - x
        return missing.where(there["fixed"].to(x.device), missing.new_zeros(())).square().sum()

    def guided(z: np.ndarray, log_snr: float) -> np.ndarray:
        x, gradient = denoise(z, log_snr, missed)
        pulled = x - 0.5 * weight * alpha_sigma(log_snr)[0] * gradient
        return np.where(fixed, known, pulled)

    return guided
