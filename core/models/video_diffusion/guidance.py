"""Frames that are given: reconstruction guidance, and the replacement method (2204.03458, 3.1).

Both wrap a denoiser, so that every sampler works with them. Where x is known, the denoiser says
so; the samplers then move z there as the forward process would (q(z_s | z_t, x)), which is the
replacement. Guidance adds to what is unknown the pull of how well the known is reconstructed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .samplers import Denoise, alpha_sigma

# denoise(z, log_snr, loss) -> clean x and the gradient of loss(x) with respect to z
Pulled = Callable[[Tensor, float, Callable[[Tensor], Tensor]], tuple[Tensor, Tensor]]


def replacement(denoise: Denoise, known: Tensor, given: Tensor) -> Denoise:
    """known: like z, given: (F,) bool, the frames of `known` that are fixed."""
    fixed = given.view(1, -1, 1, 1, 1)

    def replaced(z: Tensor, log_snr: float) -> Tensor:
        return torch.where(fixed, known, denoise(z, log_snr))

    return replaced


def reconstruction(denoise: Pulled, known: Tensor, given: Tensor, weight: float) -> Denoise:
    """Replacement where frames are given, guidance by them elsewhere (equation 7).

    x_b = x_b - (weight alpha / 2) d ||known - x_a(z)||^2 / d z_b.
    """
    fixed = given.view(1, -1, 1, 1, 1)

    def missed(x: Tensor) -> Tensor:
        at = fixed.to(x.device)
        return (torch.where(at, known.to(x), x) - x).square().sum()

    def guided(z: Tensor, log_snr: float) -> Tensor:
        x, gradient = denoise(z, log_snr, missed)
        pulled = x - 0.5 * weight * alpha_sigma(log_snr)[0] * gradient
        return torch.where(fixed, known, pulled)

    return guided
