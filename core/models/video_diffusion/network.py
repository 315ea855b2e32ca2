"""The factorised space-time U-Net (2204.03458, section 3).

* Every convolution is 1 x 3 x 3: frames are a batch to it. So they are to spatial attention; in
  temporal attention the places of a frame are, and positions are relative (rotary, 2104.09864).
* Appended image frames take no part in temporal attention: each attends to itself alone.
* Log-SNR and text pass through an MLP to one vector, which every residual block reads.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .config import UNetConfig, Upsampler
from .schedule import LIMIT

WAVES = 32  # frequencies that tell a log-SNR


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all parameters at 0: a branch that begins as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> same."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Residual block: the vector scales and shifts between the convolutions."""

    def __init__(self, inputs: int, width: int, condition: int, dropout: float) -> None:
        super().__init__()
        self.norm = ChannelNorm(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1)
        self.modulate = zeroed(nn.Linear(condition, 2 * width))
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(nn.Conv2d(width, width, 3, padding=1))
        self.skip = nn.Identity() if inputs == width else nn.Conv2d(inputs, width, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x: (N, inputs, H, W), c: (N, condition) -> (N, width, H, W)."""
        scale, shift = self.modulate(c)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.conv1(self.norm(x)), 1 + scale)
        return self.skip(x) + self.conv2(self.dropout(F.silu(h)))


class SpatialAttention(nn.Module):
    """The places of a frame attend to each other."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.heads = width // head
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.dense = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> same."""
        tokens = rearrange(x, "n c h w -> n (h w) c")
        joined = self.qkv(self.norm(tokens))
        q, k, v = rearrange(joined, "n p (three h d) -> three n h p d", three=3, h=self.heads)
        seen = rearrange(F.scaled_dot_product_attention(q, k, v), "n h p d -> n p (h d)")
        return x + rearrange(self.dense(seen), "n (h w) c -> n c h w", h=x.shape[2])


class TemporalAttention(nn.Module):
    """A place attends over the frames; queries and keys turn with their frame's number."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.heads, self.head = width // head, head
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.dense = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, frames: int, images: int) -> Tensor:
        """x: (B frames, C, H, W), of which the last `images` frames stand alone -> same."""
        tokens = rearrange(x, "(b f) c h w -> b f (h w) c", f=frames)
        joined = self.qkv(self.norm(tokens))
        video = joined[:, : frames - images]
        # Places beside the heads: CUDA's kernels take 65,535 in the first dimension at most.
        q, k, v = rearrange(video, "b f p (three h d) -> three b (p h) f d", three=3, h=self.heads)
        cos, sin = turns(frames - images, self.head, x)
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        seen = F.scaled_dot_product_attention(q, k, v)
        seen = rearrange(seen, "b (p h) f d -> b f p (h d)", h=self.heads)
        if images:
            alone = joined[:, frames - images :, :, -seen.shape[-1] :]
            seen = torch.cat([seen, alone], dim=1)
        return x + rearrange(self.dense(seen), "b f (h w) c -> (b f) c h w", h=x.shape[2])


def turns(frames: int, head: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (frames, head / 2) of the angles by which frame f turns channel pairs."""
    half = head // 2
    rates = (torch.arange(half, device=like.device) / half * -math.log(100.0)).exp()
    angles = torch.arange(frames, device=like.device)[:, None] * rates
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x: (..., frames, head), turned in the planes of its two halves."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Condition(nn.Module):
    """Log-SNR, text and, in a cascade, the noise on the given frames -> one vector."""

    def __init__(self, config: UNetConfig, text: int, given: bool) -> None:
        super().__init__()
        width = config.condition
        self.noise = nn.Linear(2 * WAVES, width)
        self.text = nn.Linear(text, width, bias=False)
        self.given = nn.Linear(2 * WAVES, width) if given else None
        layers: list[nn.Module] = []
        for _ in range(config.condition_layers):
            layers += [nn.SiLU(), nn.Linear(width, width)]
        self.mlp = nn.Sequential(*layers, nn.SiLU())

    def forward(self, log_snr: Tensor, text: Tensor, given: Tensor | None) -> Tensor:
        """log_snr: (B,), text: (B, K, text), given: (B,) -> (B, K, condition)."""
        x = self.noise(waves(log_snr))
        if self.given is not None and given is not None:
            x = x + self.given(waves(given))
        return self.mlp(x[:, None] + self.text(text))


def waves(log_snr: Tensor) -> Tensor:
    """Sines and cosines of the angle arctan(sigma / alpha): (B,) -> (B, 2 WAVES)."""
    angle = torch.atan(torch.exp(-0.5 * log_snr.clamp(-LIMIT, LIMIT)))
    rates = (torch.arange(WAVES, device=log_snr.device) / (WAVES - 1) * math.log(100.0)).exp()
    phases = angle[:, None] * rates
    return torch.cat([phases.sin(), phases.cos()], dim=1)


def followed(given: Tensor, rate: int) -> Tensor:
    """(B, F, C, h, w) -> (B, rate F, 2 C, h, w): for each new frame the given one before it, and
    what lies as far as it between that and the next. As it is for rate 1."""
    if rate == 1:
        return given
    after = torch.cat([given[:, 1:], given[:, -1:]], dim=1)
    parts = [torch.cat([given, torch.lerp(given, after, n / rate)], dim=2) for n in range(rate)]
    return torch.stack(parts, dim=2).flatten(1, 2)


def enlarged(frames: Tensor, scale: int) -> Tensor:
    """(B, F, C, h, w) -> (B, F, C, scale h, scale w), each pixel a square."""
    large = F.interpolate(frames.flatten(0, 1), scale_factor=float(scale), mode="nearest")
    return large.unflatten(0, frames.shape[:2])


class Stack(nn.Module):
    """A residual block and the attentions of its level."""

    def __init__(self, config: UNetConfig, level: int, inputs: int) -> None:
        super().__init__()
        width, side = config.widths[level], config.sides[level]
        self.block = Block(inputs, width, config.condition, config.dropout)
        self.spatial = SpatialAttention(width, config.head) if side in config.spatial else None
        self.temporal = TemporalAttention(width, config.head) if side in config.temporal else None

    def forward(self, x: Tensor, c: Tensor, frames: int, images: int) -> Tensor:
        """x: (N, inputs, H, W) -> (N, width, H, W)."""
        x = self.block(x, c)
        if self.spatial is not None:
            x = self.spatial(x)
        return x if self.temporal is None else self.temporal(x, frames, images)


class UNet(nn.Module):
    """Noisy frames to the prediction of v (or of the noise).

    given_size: side of the frames that a super-resolution reads beside its own, 0 without.
    """

    def __init__(self, config: UNetConfig, text: int, given_size: int = 0) -> None:
        super().__init__()
        self.config = config
        # Pixels of the given frames along a side of a place of the first level, and the reverse.
        self.given_patch = max(1, given_size // config.sides[0]) if given_size else 0
        self.given_scale = max(1, config.sides[0] // given_size) if given_size else 1
        self.scale = config.image_size // given_size if given_size else 1
        self.rate = config.rate if isinstance(config, Upsampler) else 1
        self.condition = Condition(config, text, bool(given_size))
        widths = config.widths
        channels = 3 * config.patch**2
        given = 3 * self.given_patch**2 * min(self.rate, 2)
        self.stem = nn.Conv2d(channels + given, widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            self.down.append(
                nn.ModuleList(Stack(config, level, width) for _ in range(config.blocks))
            )
            self.up.append(
                nn.ModuleList(Stack(config, level, 2 * width) for _ in range(config.blocks))
            )
            if level + 1 < len(widths):
                self.shrink.append(nn.Conv2d(width, widths[level + 1], 2, stride=2))
                self.grow.append(nn.Conv2d(widths[level + 1], width, 1))
        self.middle = Stack(config, len(widths) - 1, widths[-1])
        self.norm = ChannelNorm(widths[0])
        self.head = zeroed(nn.Conv2d(widths[0], channels, 3, padding=1))
        self.to(memory_format=torch.channels_last)  # pyright: ignore

    def forward(
        self,
        z: Tensor,
        log_snr: Tensor,
        text: Tensor,
        given: Tensor | None = None,
        given_log_snr: Tensor | None = None,
    ) -> Tensor:
        """z: (B, F, 3, H, W), log_snr: (B,), text: (B, 1 + I, C) of the clip and of each of the
        last I frames, which are images; given: (B, F / rate, 3, h, w), at given_log_snr
        -> like z."""
        frames, images = z.shape[1], text.shape[1] - 1
        c = self.condition(log_snr, text, given_log_snr)
        c = torch.cat([c[:, :1].expand(-1, frames - images, -1), c[:, 1:]], dim=1).flatten(0, 1)
        x = F.pixel_unshuffle(z.flatten(0, 1), self.config.patch)
        beside = None if given is None else followed(given, self.rate)
        if beside is not None:
            x = torch.cat([x, self.laid(beside)], dim=1)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        x = self.levels(x, c, frames, images)
        x = self.head(F.silu(self.norm(x)))
        found = F.pixel_shuffle(x, self.config.patch).unflatten(0, (-1, frames))
        if beside is None or given_log_snr is None or self.config.target != "x":
            return found
        alpha = given_log_snr.sigmoid().sqrt().view(-1, 1, 1, 1, 1)
        return found + enlarged(beside[:, :, -3:], self.scale) / alpha

    def laid(self, frames: Tensor) -> Tensor:
        """Given frames (B, F, C, h, w) on the places of the first level: (B F, C', H, W)."""
        if self.given_scale > 1:
            frames = enlarged(frames, self.given_scale)
        return F.pixel_unshuffle(frames.flatten(0, 1), self.given_patch)

    def levels(self, x: Tensor, c: Tensor, frames: int, images: int) -> Tensor:
        """Down, through the middle and up again: (N, first width, H, W) -> same."""
        skips = []
        last = len(self.down) - 1
        for level, stacks in enumerate(self.down):
            for stack in stacks:  # pyright: ignore
                x = stack(x, c, frames, images)
                skips.append(x)
            if level < last:
                x = self.shrink[level](x)
        x = self.middle(x, c, frames, images)
        for level in range(last, -1, -1):
            for stack in self.up[level]:  # pyright: ignore
                x = stack(torch.cat([x, skips.pop()], dim=1), c, frames, images)
            if level > 0:
                x = F.interpolate(self.grow[level - 1](x), scale_factor=2.0, mode="nearest")
        return x
