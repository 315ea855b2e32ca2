"""The low-resolution generator: noise that remembers, to styles, to small frames.

2206.03429, section 3.1. Styles are one a frame; they give the input and modulate every layer, each
at its own frame rate. Tensor names are the published ones.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.equalised import GAIN, EqualisedLinear, leaky, unit
from ..layers.magnitude import Magnitude
from ..layers.modulated import demodulated
from ..layers.resample import doubled
from .config import Config, LowBlock
from .filters import FilterBank
from .windows import KERNEL, Pyramid, Span, levels, uncoded

RATE = 0.01  # of the mapping's layers
BRIGHTNESS = 0.25  # of what the colours come out as
HALF = math.sqrt(0.5)


def doubled_in_time(x: Tensor) -> Tensor:
    """x: (B, C, T, H, W) -> (B, C, 2 T - 2, H, W): between each two frames two more, a quarter and
    three quarters of the way."""
    x = x.movedim(1, -1)  # as it lies in memory
    before, after = x[:, :-1], x[:, 1:]
    between = [torch.lerp(before, after, share) for share in (0.25, 0.75)]
    return torch.stack(between, 2).flatten(1, 2).movedim(-1, 1)


class LatentMapping(nn.Module):
    """Codes to styles, frame by frame."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.layer_0, self.layer_1 = (
            EqualisedLinear(codes, codes, rate=RATE, active=True) for _ in range(2)
        )

    def forward(self, codes: Tensor) -> Tensor:
        """codes: (B, C, T) -> styles (B, C, T)."""
        x = unit(codes).transpose(1, 2)
        return self.layer_1(self.layer_0(x)).transpose(1, 2)


class Block(nn.Module):
    """A residual block of two modulated convolutions in space and, where it is temporal, in time,
    where nothing is padded: two frames on either side are used up. Frames of a block that is not
    are samples of a batch."""

    def __init__(self, codes: int, shape: LowBlock, clamp: float) -> None:
        super().__init__()
        into, out, frames = shape.into, shape.out, KERNEL if shape.temporal else 1
        self.weight_0 = nn.Parameter(torch.empty(into, into, frames, 3, 3))
        self.weight_1 = nn.Parameter(torch.empty(out, into, frames, 3, 3))
        self.weight_skip = nn.Parameter(torch.empty(out, into, 1, 1, 1))
        self.bias_0, self.bias_1 = (nn.Parameter(torch.empty(width)) for width in (into, out))
        for weight in (self.weight_0, self.weight_1, self.weight_skip):
            nn.init.normal_(weight)
        for bias in (self.bias_0, self.bias_1):
            nn.init.zeros_(bias)
        self.affine_0, self.affine_1 = (EqualisedLinear(codes, into, bias=1.0) for _ in range(2))
        self.input_magnitude_ema_0, self.input_magnitude_ema_1 = Magnitude(), Magnitude()
        self.used, self.clamp = frames // 2, clamp
        self.after = None if shape.before == shape.after else shape.after

    def forward(self, x: Tensor, w: Tensor, asked: Span | None = None) -> Tensor:
        """x: (B, C, T, H, W), w: (B, T, W), one style a frame -> (B, C', T', H', W'), or without
        T in all. asked: for which of twice the frames; None: no more frames."""
        used = self.used
        gain = self.input_magnitude_ema_0.gain(x)
        weight = self.weight_skip * (gain * HALF / math.sqrt(x.shape[1]))
        skip = convolution(within(x, 2 * used, 2), weight)
        h, norm = self.convolved(x, self.weight_0, self.affine_0(w), gain)
        h = leaky(torch.addcmul(GAIN * across(self.bias_0, h), h, GAIN * norm), 1.0, self.clamp)
        gain = self.input_magnitude_ema_1.gain(h)
        h, norm = self.convolved(h, self.weight_1, self.affine_1(within(w, used, 1)), gain)
        x = torch.addcmul(skip, h, HALF * norm)
        if asked is not None:
            x = doubled_in_time(x)[:, :, asked.first : asked.last]
        if self.after is not None:
            x = grown(x, self.after)
        return leaky(x + across(self.bias_1, x), GAIN, self.clamp)

    def convolved(
        self, x: Tensor, weight: Tensor, styles: Tensor, gain: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x: (B, C, T, H, W), styles: (B, T, C) -> what comes of them, (B, C', T', H, W), and what
        it is still to be multiplied by, (B, C', T', 1, 1); or without T in all."""
        styles, norm = demodulated(weight, styles)
        h = convolution(x * across(styles * gain, x), weight)
        return h, across(within(norm, self.used, 1), h)


def convolution(x: Tensor, weight: Tensor) -> Tensor:
    """x: (B, C, T, H, W) or, for a kernel of one frame, (B, C, H, W) too; weight: (C', C, t, k, k)
    -> as many rows and columns, t - 1 frames fewer."""
    pad, frames = weight.shape[-1] // 2, weight.shape[2]
    if x.ndim == 4:
        return F.conv2d(x, weight[:, :, 0].to(x.dtype), padding=pad)
    if x.is_cuda:
        return F.conv3d(x, weight.to(x.dtype), padding=(0, pad, pad))
    # A CPU has quick convolutions of pictures, and slow ones of videos: frames that one result
    # hangs on are channels of one picture.
    count = x.shape[2] - frames + 1
    near = [x[:, :, first : first + count].transpose(1, 2) for first in range(frames)]
    stacked = torch.cat(near, 2).flatten(0, 1) if frames > 1 else near[0].flatten(0, 1)
    flat = weight.transpose(1, 2).flatten(1, 2).to(x.dtype)
    return F.conv2d(stacked, flat, padding=pad).unflatten(0, (-1, count)).transpose(1, 2)


def grown(x: Tensor, sides: tuple[int, int]) -> Tensor:
    """x: (B, C, H, W) or (B, C, T, H, W) -> doubled, and of that the middle of these sides."""
    if x.ndim == 5:
        frames = grown(x.transpose(1, 2).flatten(0, 1), sides)
        return frames.unflatten(0, (len(x), -1)).transpose(1, 2)
    top, left = ((2 * size - side) // 2 for size, side in zip(x.shape[2:], sides, strict=True))
    return doubled(x)[..., top : top + sides[0], left : left + sides[1]]


def within(x: Tensor, used: int, dim: int) -> Tensor:
    """x without that many on either side."""
    return x.narrow(dim, used, x.shape[dim] - 2 * used) if used else x


def across(numbers: Tensor, x: Tensor) -> Tensor:
    """Numbers a channel, (C,), (B, C) or (B, T, C), to be multiplied with features or added to
    them: x, (B, C, H, W) or (B, C, T, H, W)."""
    if numbers.ndim == 1:
        return numbers.view(-1, *[1] * (x.ndim - 2)).to(x.dtype)
    return numbers.movedim(-1, 1)[..., None, None].to(x.dtype)


class ToRgb(nn.Module):
    """Features to colours: a modulated 1 x 1 convolution without demodulation."""

    def __init__(self, codes: int, into: int, clamp: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, into, 1, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.affine = EqualisedLinear(codes, into, bias=1.0)
        self.input_magnitude_ema = Magnitude()
        self.scale, self.clamp = 1 / math.sqrt(into), clamp
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, C, H, W), w: (B, W) -> (B, 3, H, W)."""
        styles = self.affine(w) * (self.input_magnitude_ema.gain(x) * self.scale)
        x = convolution(x * across(styles, x), self.weight)
        return (x + across(self.bias, x)).clamp(-self.clamp, self.clamp)


class Generator(nn.Module):
    """Small videos from noise. bank: what makes codes of the noise."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        codes, shapes, clamp = config.codes, config.low_blocks, config.clamp
        self.bank = FilterBank(config)
        self.latent_mapping = LatentMapping(codes)
        self.temporal_downsample_latent = Pyramid()
        self.w_to_temp_input = EqualisedLinear(codes, shapes[0].into)
        self.spatial_input = nn.Parameter(torch.empty(1, shapes[0].into, 1, *shapes[0].before))
        nn.init.normal_(self.spatial_input)
        blocks = [Block(codes, shape, clamp) for shape in shapes]
        temporal = sum(shape.temporal for shape in shapes)
        self.temporal_layers = nn.ModuleList(blocks[:temporal])
        self.spatial_layers = nn.ModuleList(blocks[temporal:])
        self.to_rgb = ToRgb(codes, shapes[-1].out, clamp)

    def forward(self, noise: Tensor) -> Tensor:
        """noise: (B, N, coded(frames) + bank.reach), white -> videos (B, frames, 3, H, W), about -1
        to 1; frames: a multiple of SCALE."""
        return self.synthesis(self.latent_mapping(self.bank(noise)))

    def synthesis(self, w: Tensor, frames: int | None = None) -> Tensor:
        """w: (B, W, coded(frames)); frames: where left out, as many as there can be of that
        length -> videos (B, frames, 3, H, W)."""
        frames = uncoded(w.shape[2]) if frames is None else frames
        styles = self.temporal_downsample_latent(w, frames)
        x = self.w_to_temp_input(styles[0]).transpose(1, 2)[..., None, None]
        x = ((x + self.spatial_input) * HALF).contiguous(memory_format=torch.channels_last_3d)
        for block, style, level in zip(self.temporal_layers, styles, levels(frames), strict=True):
            x = block(x, style, level.doubled)
        x, last = x.transpose(1, 2).flatten(0, 1), within(styles[-1], KERNEL - 1, 1).flatten(0, 1)
        for block in self.spatial_layers:
            x = block(x, last)
        return self.to_rgb(x, last).unflatten(0, (-1, frames)) * BRIGHTNESS
