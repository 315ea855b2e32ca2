"""The super-resolution discriminator: a few pairs of small and large frames, judged at once.

2206.03429, section 3.2: StyleGAN2's discriminator (1912.04958) of all frames on top of each other.
Tensor names are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.judge import Epilogue, JudgeBlock
from .config import PAIRS, Config
from .low_discriminator import squared

SMALLEST = 4  # pixels a side at the end


class Discriminator(nn.Module):
    """Pairs of frames to logits, positive for real large ones."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        side = max(config.height, config.width)
        self.scale, self.sides = config.scale, [side]
        while self.sides[-1] > 2 * SMALLEST:
            self.sides.append(self.sides[-1] // 2)

        def channels(side: int) -> int:
            return min(config.judge_base // side, config.judge_max)

        for side in self.sides:
            colours = 2 * 3 * PAIRS if side == self.sides[0] else 0
            into, out = channels(side), channels(side // 2)
            block = JudgeBlock(into, into, out, config.clamp, colours=colours)
            self.add_module(f"b{side}", block)
        self.b4 = Epilogue(channels(SMALLEST), 1, config.clamp, varied=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """low: (B, PAIRS, 3, h, w), or zeros where it is not to be seen; high: (B, PAIRS, 3, H, W)
        -> (B,)."""
        return self.judged(self.shown(low, high))

    def shown(self, low: Tensor, high: Tensor) -> Tensor:
        """All frames, the small ones first, as squares of one size: (B, 2 PAIRS, 3, S, S)."""
        return squared(torch.cat([enlarged(low, self.scale), high], 1), self.sides[0])

    def judged(self, frames: Tensor) -> Tensor:
        """frames: (B, 2 PAIRS, 3, S, S) -> (B,)."""
        x = frames.unflatten(1, (2, PAIRS)).transpose(2, 3).flatten(1, 3)
        for side in self.sides:
            x = self.get_submodule(f"b{side}")(x)
        return self.b4(x)[:, 0]


def enlarged(x: Tensor, scale: int) -> Tensor:
    """x: (B, T, C, H, W) -> linearly interpolated to `scale` times the sides, zeros around."""
    flat = F.pad(x.flatten(0, 1), (1, 1, 1, 1))
    flat = F.interpolate(flat, scale_factor=scale, mode="bilinear", align_corners=False)
    return flat[..., scale:-scale, scale:-scale].unflatten(0, x.shape[:2])
