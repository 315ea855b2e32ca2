"""Samplers, all of one signature: (denoise, z, log_snrs, noise) -> x.

denoise(z, log_snr) gives the clean x that it sees in z; z: noise at log_snrs[0], the largest
noise; log_snrs rise from there, and x is what is seen at the last one; noise() draws standard
normals like z.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..arrays import Array
from .schedule import ddim_step, log_snr_at

Denoise = Callable[[Array, float], Array]
Noise = Callable[[], Array]
Sampler = Callable[[Denoise, Array, Sequence[float], Noise], Array]


def log_snrs(steps: int, shift: float, first: float = 1.0, last: float = 0.0) -> list[float]:
    """The schedule's log-SNR at steps + 1 times from `first` down to `last`, evenly."""
    times = (first + (last - first) * number / steps for number in range(steps + 1))
    return [log_snr_at(time, shift) for time in times]


def alpha_sigma(log_snr: float) -> tuple[float, float]:
    """alpha and sigma of one log-SNR."""
    return (1 + math.exp(-log_snr)) ** -0.5, (1 + math.exp(log_snr)) ** -0.5


def ancestral(
    denoise: Denoise,
    z: Array,
    log_snrs: Sequence[float],
    noise: Noise,
    gamma: float = 0.3,
    delta: float = 0.0,
) -> Array:
    """The ancestral sampler (2204.03458, equation 5).

    gamma: the variance's place between its bounds, 0 the smaller. delta: above 0, a Langevin step
    of this size corrects each z (predictor-corrector sampling, section 2).
    """
    for now, then in pairwise(log_snrs[:-1]):
        x = denoise(z, now)
        mean, deviation = posterior(z, x, now, then, gamma)
        z = mean + deviation * noise()
        if delta > 0:
            z = langevin(denoise, z, then, noise, delta)
    return denoise(z, log_snrs[-2])


def posterior(z: Array, x: Array, now: float, then: float, gamma: float) -> tuple[Array, float]:
    """Mean and deviation of z at `then`, a larger log-SNR, from z at `now` and the clean x."""
    (a, s), (a_then, s_then) = alpha_sigma(now), alpha_sigma(then)
    kept, drawn = math.exp(now - then), -math.expm1(now - then)
    mean = kept * a_then / a * z + drawn * a_then * x
    return mean, (drawn * s_then**2) ** ((1 - gamma) / 2) * (drawn * s**2) ** (gamma / 2)


def langevin(denoise: Denoise, z: Array, log_snr: float, noise: Noise, delta: float) -> Array:
    """One corrector step: z - delta sigma eps / 2 + sqrt(delta) sigma eps' (section 2)."""
    a, s = alpha_sigma(log_snr)
    eps = (z - a * denoise(z, log_snr)) / s
    return z - 0.5 * delta * s * eps + math.sqrt(delta) * s * noise()


def ddim(denoise: Denoise, z: Array, log_snrs: Sequence[float], noise: Noise) -> Array:
    """DDIM (2010.02502), the probability flow's first-order solver; no noise is drawn."""
    for now, then in pairwise(log_snrs[:-1]):
        z = ddim_step(z, denoise(z, now), alpha_sigma(now), alpha_sigma(then))
    return denoise(z, log_snrs[-2])


def dpm_solver(denoise: Denoise, z: Array, log_snrs: Sequence[float], noise: Noise) -> Array:
    """DPM-Solver++ (2M) (2211.01095, algorithm 2): second order, from the last two views of x."""
    before: tuple[Array, float] | None = None
    for now, then in pairwise(log_snrs[:-1]):
        (_, s), (a_then, s_then) = alpha_sigma(now), alpha_sigma(then)
        x, step = denoise(z, now), (then - now) / 2  # half a log-SNR is log alpha / sigma
        seen = x
        if before is not None:
            ratio = before[1] / step
            seen = x + (x - before[0]) / (2 * ratio)
        z = s_then / s * z - a_then * math.expm1(-step) * seen
        before = x, step
    return denoise(z, log_snrs[-2])
