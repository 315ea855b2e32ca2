"""A plain StyleGAN2 generator (1912.04958, without mapping and noise), which paints a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = math.sqrt(2)  # of leaky ReLU
SLOPE = 0.2


class Modulated(nn.Module):
    """A convolution whose kernel's input channels each frame scales (section 2.2), each frame's
    kernel made and applied as a group of its own, as the published code does."""

    def __init__(self, latent: int, into: int, out: int, kernel: int, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, into, kernel, kernel))
        self.style = nn.Linear(latent, into)
        self.bias = nn.Parameter(torch.zeros(out))
        self.demodulate, self.scale = demodulate, 1 / math.sqrt(into * kernel**2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, I, H, W), w: (B, latent) -> (B, O, H, W)."""
        batch, _, height, width = x.shape
        scales = self.style(w)[:, None, :, None, None] + 1
        kernels = self.scale * self.weight * scales
        if self.demodulate:
            kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        side = self.weight.shape[-1] // 2
        found = F.conv2d(x.reshape(1, -1, height, width), kernels.flatten(0, 1), padding=side,
                         groups=batch)  # fmt: skip
        return found.view(batch, -1, height, width) + self.bias[:, None, None]


class StyleGAN2(nn.Module):
    """A learnt 4 x 4 start, two convolutions a side, colours added up over the sides (figure 7)."""

    def __init__(self, latent: int, widths: Sequence[int]) -> None:
        """widths: channels at 4, 8, ... pixels."""
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        pairs = list(zip([widths[0], *widths], widths, strict=False))
        self.first = nn.ModuleList(Modulated(latent, i, o, 3, True) for i, o in pairs)
        self.second = nn.ModuleList(Modulated(latent, o, o, 3, True) for _, o in pairs[1:])
        self.colours = nn.ModuleList(Modulated(latent, o, 3, 1, False) for _, o in pairs)

    def forward(self, w: Tensor) -> Tensor:
        """w: (B, latent) -> (B, 3, S, S)."""
        x = self.start.expand(len(w), -1, -1, -1)
        picture = None
        for level, (first, colours) in enumerate(zip(self.first, self.colours, strict=True)):
            if level:
                x = doubled(x)
            x = active(first(x, w))
            if level:
                x = active(self.second[level - 1](x, w))
            shown = colours(x, w)
            picture = shown if picture is None else doubled(picture) + shown
        assert picture is not None
        return picture


def active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE) * GAIN


def doubled(x: Tensor) -> Tensor:
    """Twice as high and wide, bilinear, which stands for the published filter [1, 3, 3, 1]."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
