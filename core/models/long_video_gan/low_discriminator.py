"""The low-resolution discriminator: many small frames, judged at once.

2206.03429, appendix: residual blocks that halve space and time, then convolutions along time alone.
Tensor names are the published ones.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.equalised import GAIN, EqualisedLinear, leaky
from ..layers.resample import every_second
from .config import HALVINGS, Config

HALF = math.sqrt(0.5)
KERNEL = 5  # frames of a convolution in space and time
SMALLEST = 32  # pixels a side: frames that are larger are halved in the first block
ALONG = (1, 3, 3, 3)  # kernels of the convolutions along time


class Convolution(nn.Module):
    """w / sqrt(numbers in a filter), padded to the same size; then, where asked, halved in space
    and in time; and `leaky`, times `gain`, with a bias, where `active`."""

    def __init__(
        self,
        into: int,
        out: int,
        kernel: tuple[int, ...],
        clamp: float,
        *,
        active: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into, *kernel))
        self._bias = nn.Parameter(torch.empty(out)) if active else None
        nn.init.normal_(self.weight)
        if self._bias is not None:
            nn.init.zeros_(self._bias)
        self.scale = 1 / math.sqrt(into * math.prod(kernel))
        self.padding = tuple(side // 2 for side in kernel)
        self.gain, self.clamp = gain, clamp

    def forward(self, x: Tensor, space: bool = False, time: bool = False) -> Tensor:
        """x: (B, C, T, H, W), or (B, C, T) for a kernel along time alone -> (B, C', ...)."""
        if self._bias is None:
            x = halved(x, space, time)  # of less it is the same, where no border is padded
            return self.convolved(x, self.weight * (self.scale * self.gain))
        x = halved(self.convolved(x, self.weight * self.scale), space, time)
        x = x + self._bias.to(x.dtype).view(-1, *[1] * (x.ndim - 2))
        return leaky(x, GAIN * self.gain, self.clamp * self.gain)

    def convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        """x: (B, C, T, H, W) or (B, C, T) -> (B, C', ...)."""
        return (F.conv3d if x.ndim == 5 else F.conv1d)(x, weight, padding=self.padding)


def halved(x: Tensor, space: bool, time: bool) -> Tensor:
    """x: (B, C, T, H, W) -> blurred by [1, 3, 3, 1] and of that each second pixel, frame or both,
    with zeros around."""
    if space:
        frames = every_second(x.transpose(1, 2).flatten(0, 1))
        x = frames.unflatten(0, (len(x), -1)).transpose(1, 2)
    if time:
        x = F.pad(x.movedim(1, -1), (0, 0) * 3 + (1, 1))  # as it lies in memory
        inner, outer = x[:, 1:-1:2] + x[:, 2::2], x[:, :-2:2] + x[:, 3::2]
        x = torch.lerp(outer, inner, 0.75).movedim(-1, 1) / 2
    return x


class Block(nn.Module):
    """A residual block. kernel: frames of its convolutions."""

    def __init__(self, into: int, out: int, kernel: int, clamp: float, *, first: bool = False):
        super().__init__()
        if first:
            self.conv_vid = Convolution(3, into, (1, 1, 1), clamp)
        self.conv_0 = Convolution(into, into, (kernel, 3, 3), clamp)
        self.conv_1 = Convolution(into, out, (kernel, 3, 3), clamp, gain=HALF)
        self.conv_skip = Convolution(into, out, (1, 1, 1), clamp, active=False, gain=HALF)
        self.first = first

    def forward(self, x: Tensor, space: bool, time: bool) -> Tensor:
        """x: (B, C, T, H, W), videos (B, 3, T, H, W) in the first -> halved where asked."""
        x = self.conv_vid(x) if self.first else x
        return self.conv_1(self.conv_0(x), space, time) + self.conv_skip(x, space, time)


class Epilogue(nn.Module):
    """Features of few pixels and frames to a logit."""

    def __init__(self, into: int, frames: int, width: int, clamp: float) -> None:
        super().__init__()
        widths = [into, *[width] * len(ALONG)]
        for number, kernel in enumerate(ALONG):
            layer = Convolution(widths[number], width, (kernel,), clamp)
            self.add_module(f"conv1d_{number}", layer)
        self.linear_0 = EqualisedLinear(frames * width, width, active=True)
        self.linear_1 = EqualisedLinear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, T, H, W) -> (B,)."""
        x = x.transpose(1, 2).flatten(2).transpose(1, 2)
        for number in range(len(ALONG)):
            x = self.get_submodule(f"conv1d_{number}")(x)
        return self.linear_1(self.linear_0(x.flatten(1)))[:, 0]


class Discriminator(nn.Module):
    """Small videos to logits, positive for real ones."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        base, clamp = config.low_judge_channels, config.clamp
        self.side = max(config.low_height, config.low_width)
        self.halves_first = self.side > SMALLEST
        kernels = (1, *[KERNEL] * HALVINGS)
        self.blocks = nn.ModuleList(
            Block(base << number, base << number + 1, kernel, clamp, first=not number)
            for number, kernel in enumerate(kernels)
        )
        last = self.side >> HALVINGS + self.halves_first
        width = (base << 1 + HALVINGS) * last**2
        self.epilogue = Epilogue(width, config.frames >> HALVINGS, 32 * base, clamp)

    def forward(self, videos: Tensor) -> Tensor:
        """videos: (B, frames, 3, H, W), about -1 to 1 -> (B,)."""
        x = squared(videos.transpose(1, 2), self.side)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        for number, block in enumerate(self.blocks):
            x = block(x, number > 0 or self.halves_first, number > 0)
        return self.epilogue(x)


def squared(x: Tensor, side: int) -> Tensor:
    """x: (..., H, W) -> (..., side, side), zeros around."""
    height, width = side - x.shape[-2], side - x.shape[-1]
    left, top = width // 2, height // 2
    return F.pad(x, (left, width - left, top, height - top))
