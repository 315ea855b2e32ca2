"""Noise by its log signal-to-noise ratio: the cosine schedule and what converts into what.

z = alpha x + sigma eps with alpha^2 = sigmoid(lambda), sigma^2 = sigmoid(-lambda) and
lambda = log alpha^2 / sigma^2 (2204.03458, section 2); v = alpha eps - sigma x (2202.00512).
Ratios come as floats or as tensors that broadcast against x.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 20.0  # log-SNR stays in [-LIMIT, LIMIT]
_FIRST = math.atan(math.exp(-LIMIT / 2))
_SPAN = math.atan(math.exp(LIMIT / 2)) - _FIRST
Pair = tuple[Any, Any]  # of tensors or of floats


def cosine_log_snr(t: Tensor, shift: float = 0.0) -> Tensor:
    """t in [0, 1], 1 is all noise -> lambda = -2 log tan(a t + b) + shift.

    shift: below 0 for data whose pixels repeat each other, which a low noise leaves readable
    (2301.11093, section 2.1).
    """
    return (-2 * (_SPAN * t + _FIRST).tan().log() + shift).clamp(-LIMIT, LIMIT)


def log_snr_at(t: float, shift: float = 0.0) -> float:
    """The same of one time."""
    return min(max(-2 * math.log(math.tan(_SPAN * t + _FIRST)) + shift, -LIMIT), LIMIT)


def spread(log_snr: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, ...), as many dimensions as `like` has."""
    return log_snr.view(-1, *[1] * (like.ndim - 1))


def alpha_sigma(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    """lambda -> alpha, sigma of the same shape."""
    return log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()


def noised(x: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """z ~ q(z | x) at lambda."""
    alpha, sigma = alpha_sigma(log_snr)
    return alpha * x + sigma * eps


def v_from(x: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """v of a clean x and its noise."""
    alpha, sigma = alpha_sigma(log_snr)
    return alpha * eps - sigma * x


def x_from_v(z: Tensor, v: Tensor, log_snr: Tensor) -> Tensor:
    """The clean x behind z."""
    alpha, sigma = alpha_sigma(log_snr)
    return alpha * z - sigma * v


def x_from_eps(z: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """The clean x behind z."""
    alpha, sigma = alpha_sigma(log_snr)
    return (z - sigma * eps) / alpha


def target_from(target: str, x: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """What a network of this `target` (v, eps or x) is to predict."""
    if target == "v":
        return v_from(x, eps, log_snr)
    return eps if target == "eps" else x


def x_from(target: str, z: Tensor, found: Tensor, log_snr: Tensor) -> Tensor:
    """The clean x that a prediction of `target` (v, eps or x) means."""
    if target == "x":
        return found
    return (x_from_v if target == "v" else x_from_eps)(z, found, log_snr)


def ddim_step(z: Any, x: Any, now: Pair, then: Pair) -> Any:
    """From z to where the probability flow would carry it if x stayed what it sees (2010.02502,
    equation 12 without noise). now, then: alpha and sigma."""
    (a, s), (a_then, s_then) = now, then
    return a_then * x + s_then / s * (z - a * x)
