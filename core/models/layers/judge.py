"""Residual discriminators of pictures (StyleGAN2, 1912.04958): blocks that halve, and an end."""

import math

import torch
from torch import Tensor, nn

from .equalised import EqualisedConv2d, EqualisedLinear

GROUP = 4  # of the minibatch's standard deviation


class JudgeBlock(nn.Module):
    """A residual block that halves the sides."""

    def __init__(
        self, into: int, channels: int, out: int, clamp: float, *, colours: int = 0
    ) -> None:
        """colours: of the pictures that the first block is given, `into` is their features'."""
        super().__init__()
        half = math.sqrt(0.5)
        if colours:
            self.fromrgb = EqualisedConv2d(colours, channels, 1, clamp=clamp)
        self.conv0 = EqualisedConv2d(into, channels, 3, clamp=clamp)
        self.conv1 = EqualisedConv2d(channels, out, 3, halve=True, gain=half, clamp=clamp)
        self.skip = EqualisedConv2d(into, out, 1, bias=False, active=False, halve=True, gain=half)
        self.first = bool(colours)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), or pictures in the first -> (B, C', H / 2, W / 2)."""
        x = self.fromrgb(x) if self.first else x
        return self.skip(x) + self.conv1(self.conv0(x))


class Epilogue(nn.Module):
    """4 x 4 features to numbers. varied: beside the features it sees how various the batch is."""

    def __init__(self, channels: int, out: int, clamp: float, *, varied: bool) -> None:
        super().__init__()
        self.varied = varied
        self.conv = EqualisedConv2d(channels + varied, channels, 3, clamp=clamp)
        self.fc = EqualisedLinear(16 * channels, channels, active=True)
        self.out = EqualisedLinear(channels, out)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, 4, 4) -> (B, out)."""
        x = torch.cat([x, deviation(x)], dim=1) if self.varied else x
        return self.out(self.fc(self.conv(x).flatten(1)))


def deviation(x: Tensor) -> Tensor:
    """x: (B, C, H, W) -> (B, 1, H, W): the mean standard deviation within groups of `GROUP`, each
    of every (B / GROUP)-th sample: the batch's variety (1710.10196, section 3).

    ValueError where the batch is no multiple of its group.
    """
    group = min(GROUP, len(x))
    if len(x) % group:
        raise ValueError(f"a batch of {len(x)} cannot be cut into groups of {group}")
    grouped = x.unflatten(0, (group, -1)).float()
    spread = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat(group).to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])
