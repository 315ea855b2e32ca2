"""Pictures blurred, halved and doubled with the filter [1, 3, 3, 1] (StyleGAN2, 1912.04958).

Every size is a constant of the network, so that the graphs export. Where arithmetic is cheaper than
memory, a convolution and the blur beside it are one convolution with a larger kernel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS = (1.0, 3.0, 3.0, 1.0)


def kernel(channels: int, like: Tensor, gain: float = 1.0) -> Tensor:
    """(channels, 1, 4, 4), the outer product of the taps with themselves; sums up to `gain`."""
    taps = torch.tensor(_TAPS, dtype=like.dtype, device=like.device)
    return (torch.outer(taps, taps) * (gain / 64)).expand(channels, 1, 4, 4)


def blur(x: Tensor, pad: int, gain: float = 1.0) -> Tensor:
    """x: (B, C, H, W), with `pad` zeros on each side -> (B, C, H + 2 pad - 3, W + 2 pad - 3)."""
    channels = x.shape[1]
    return F.conv2d(x, kernel(channels, x, gain), padding=pad, groups=channels)


def every_second(x: Tensor) -> Tensor:
    """Blurred, and of that each second pixel: (B, C, H, W) -> (B, C, H / 2, W / 2)."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu":
        return EverySecond.apply(x)
    return _every_second(x)


def _every_second(x: Tensor) -> Tensor:
    channels = x.shape[1]
    return F.conv2d(x, kernel(channels, x), stride=2, padding=1, groups=channels)


class EverySecond(torch.autograd.Function):
    """Its slope as an interpolation: as a transposed convolution of a channel each it takes a CPU
    many times as long in bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, H / 2, W / 2)."""
        return _every_second(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return Spread.apply(slopes[0])


class Spread(torch.autograd.Function):
    """The transpose of `EverySecond`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        """y: (B, C, H, W) -> (B, C, 2 H, 2 W)."""
        return doubled(y) / 4

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return EverySecond.apply(slopes[0])


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W): zeros between, then the filter. That is bilinear
    interpolation of a picture with a border of zeros."""
    x = F.pad(x, (1, 1, 1, 1))
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return x[..., 2:-2, 2:-2]


def composes(x: Tensor) -> bool:
    """Whether one convolution of 6 x 6 is quicker than one of 3 x 3 and a blur: where tensor cores
    are."""
    return x.is_cuda


def composed(weight: Tensor, gain: float = 1.0) -> Tensor:
    """Kernels of the convolution that blurs, with `gain`, and convolves: (A, B, k, k) -> (A, B,
    k + 3, k + 3). (The filter is symmetric: the order and the direction do not matter.)"""
    flat = weight.float().flatten(0, 1)[:, None]
    taps = kernel(1, flat, gain)
    return F.conv2d(flat, taps, padding=3)[:, 0].unflatten(0, weight.shape[:2]).to(weight.dtype)
