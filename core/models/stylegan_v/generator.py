"""The generator: a latent becomes a style, moments become motion codes, both become pictures.

2112.14683, section 3.1: StyleGAN2's synthesis (1912.04958) without noise a pixel; the motion code
enters once, beside the constant. Tensor names are the published ones.
"""

import torch
from torch import Tensor, nn

from ..layers.mapping import Mapping
from ..layers.modulated import ModulatedConv2d, ToRgb
from ..layers.resample import doubled
from .config import Config
from .motion import MotionEncoder


class Constant(nn.Module):
    """The learned 4 x 4 features that everything grows from, beside the motion code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Module()
        self.input.const = nn.Parameter(torch.empty(1, channels, 4, 4))
        nn.init.normal_(self.input.const)

    def forward(self, motion: Tensor) -> Tensor:
        """motion: (B, M) -> (B, channels + M, 4, 4)."""
        const = self.input.get_parameter("const").expand(motion.shape[0], -1, -1, -1)
        x = torch.cat([const, motion[:, :, None, None].expand(-1, -1, 4, 4)], dim=1)
        # All that follows keeps this order in memory: a fifth faster.
        return x.contiguous(memory_format=torch.channels_last)


class SynthesisBlock(nn.Module):
    """One side: features doubled and convolved, and what they add to the picture."""

    def __init__(self, config: Config, side: int) -> None:
        super().__init__()
        out, style = config.channels(side), config.latent
        into = out + config.motion if side == 4 else config.channels(side // 2)
        if side == 4:
            self.input = Constant(out)
        else:
            self.conv0 = ModulatedConv2d(into, out, style, double=True, clamp=config.clamp)
        first = into if side == 4 else out
        self.conv1 = ModulatedConv2d(first, out, style, clamp=config.clamp)
        self.torgb = ToRgb(out, style, clamp=config.clamp)
        self.first = side == 4

    def forward(self, x: Tensor, picture: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """x: the motion codes (B, M) at 4 pixels, else features (B, C, H, W); w: (B, W)."""
        x = self.input(x) if self.first else self.conv0(x, w)
        x = self.conv1(x, w)
        colours = self.torgb(x, w).float()
        return x, colours if picture is None else doubled(picture) + colours


class Synthesis(nn.Module):
    """Styles and motion codes to pictures, and the encoder that gives the latter."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.sides = config.sides
        self.motion_encoder = MotionEncoder(config)
        for side in self.sides:
            self.add_module(f"b{side}", SynthesisBlock(config, side))

    def forward(self, motion: Tensor, w: Tensor) -> Tensor:
        """motion: (B, M), w: (B, W) -> (B, 3, side, side), about -1 to 1."""
        x, picture = motion, None
        for side in self.sides:
            x, picture = self.get_submodule(f"b{side}")(x, picture, w)
        assert picture is not None
        return picture


class Generator(nn.Module):
    """Videos from noise."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.mapping = Mapping(config.latent, config.mapping_layers, len(config.classes))
        self.synthesis = Synthesis(config)

    def forward(
        self, z: Tensor, noise: Tensor, times: Tensor, label: Tensor | None = None
    ) -> Tensor:
        """z: (B, Z), noise: (B, N, M) at the anchors from 0 on, times: (B, T) in frames, label:
        (B, classes) -> (B, T, 3, side, side)."""
        frames = times.shape[1]
        w = self.mapping(z, label).repeat_interleave(frames, 0)
        motion = self.synthesis.motion_encoder(noise, times, label)
        return self.synthesis(motion, w).unflatten(0, (-1, frames))
