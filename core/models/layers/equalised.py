"""Layers whose weights are drawn with unit variance and scaled as they are used.

So that every weight learns at the same speed under Adam, whatever its width (Karras et al. 2018,
1710.10196, section 4.1). Activations are leaky ReLU of slope 0.2, times sqrt(2) where they shall
keep the variance (StyleGAN2, 1912.04958).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resample import blur, composed, composes, every_second

SLOPE = 0.2
GAIN = math.sqrt(2)


def leaky(x: Tensor, gain: float = GAIN, clamp: float | None = None) -> Tensor:
    """gain * leaky ReLU of slope 0.2, within +-clamp. x: any shape -> same."""
    x = F.leaky_relu(x, SLOPE)
    x = x if gain == 1 else x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def unit(x: Tensor) -> Tensor:
    """x: (B, C) -> each row divided by the root of its mean square."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualisedLinear(nn.Module):
    """A linear map W x rate / sqrt(in) + b rate, and then `leaky` where `active`.

    rate: below 1 the layer learns that much slower: its weights are drawn as much larger.
    """

    def __init__(
        self,
        into: int,
        out: int,
        *,
        rate: float = 1.0,
        bias: float | None = 0.0,
        active: bool = False,
    ) -> None:
        """bias: what it begins with, None for a map without one."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into))
        self.bias = None if bias is None else nn.Parameter(torch.empty(out))
        nn.init.normal_(self.weight, std=1 / rate)
        if self.bias is not None:
            nn.init.constant_(self.bias, (bias or 0.0) / rate)
        self.scale, self.rate, self.active = rate / math.sqrt(into), rate, active

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in) -> (..., out)."""
        weight = self.weight * self.scale
        bias = self.bias if self.bias is None or self.rate == 1 else self.bias * self.rate
        x = F.linear(x, weight, bias)
        return leaky(x) if self.active else x


class EqualisedConv1d(nn.Module):
    """A convolution along time without padding, w rate / sqrt(in k), and a leaky ReLU without
    gain. x: (B, in, T) -> (B, out, T - k + 1)."""

    def __init__(self, into: int, out: int, kernel: int, rate: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into, kernel))
        self.bias = nn.Parameter(torch.empty(out))
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.zeros_(self.bias)
        self.scale, self.rate = rate / math.sqrt(into * kernel), rate

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, in, T) -> (B, out, T - k + 1)."""
        return leaky(F.conv1d(x, self.weight * self.scale, self.bias * self.rate), gain=1)


class EqualisedConv2d(nn.Module):
    """A convolution of pictures, w / sqrt(in k^2), padded to the same size; `halved` by 2 after a
    blur. Then `leaky` where `active`, times `gain`."""

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int,
        *,
        bias: bool = True,
        active: bool = True,
        halve: bool = False,
        gain: float = 1.0,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(out)) if bias else None
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.scale, self.kernel = 1 / (kernel * math.sqrt(into)), kernel
        self.active, self.halve, self.gain, self.clamp = active, halve, gain, clamp

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, in, H, W) -> (B, out, H, W), or half the sides."""
        weight, pad = self.weight * self.scale, self.kernel // 2
        if self.halve and composes(x):
            x = F.conv2d(x, composed(weight), self.bias, stride=2, padding=pad + 1)
        elif self.halve and self.kernel == 1:
            x = F.conv2d(every_second(x), weight, self.bias)
        elif self.halve:
            x = F.conv2d(blur(x, pad + 1), weight, self.bias, stride=2)
        else:
            x = F.conv2d(x, weight, self.bias, padding=pad)
        if self.active:
            return leaky(x, GAIN * self.gain, self.clamp and self.clamp * self.gain)
        return x * self.gain
