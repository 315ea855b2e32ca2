"""The discriminator: three frames of a video and the times between them, judged at once.

2112.14683, section 3.3. Tensor names are the published ones.
"""

import math

import torch
from torch import Tensor, nn

from ..layers.equalised import EqualisedLinear, unit
from ..layers.judge import Epilogue, JudgeBlock
from ..layers.mapping import RATE
from .config import FRAMES, Config

JOINED = 16  # the side at which the features of the frames are laid on top of each other
DIFFERENCES, EMBEDDED, WAVES = 1024, 256, 10
TIMES = (FRAMES - 1) * (EMBEDDED + 2 * WAVES)  # numbers that tell the times between the frames


class Differences(nn.Module):
    """The times between neighbouring frames, as learned rows and as waves."""

    def __init__(self) -> None:
        super().__init__()
        self.const_embed = nn.Embedding(DIFFERENCES, EMBEDDED)
        powers = 2 ** torch.arange(WAVES, dtype=torch.float32)
        waves = nn.Module()
        waves.register_buffer("fourier_coefs", (powers * math.pi / DIFFERENCES)[None])
        self.time_encoder = waves

    def forward(self, times: Tensor) -> Tensor:
        """times: (B, FRAMES) in frames, ascending -> (B, TIMES)."""
        steps = times.diff(dim=1).flatten()
        row = self.const_embed(steps.round().long().clamp(0, DIFFERENCES - 1))
        angle = steps[:, None] * self.time_encoder.get_buffer("fourier_coefs")
        return (
            torch.cat([row, angle.sin(), angle.cos()], dim=1)
            .unflatten(0, (len(times), -1))
            .flatten(1)
        )


class Conditions(nn.Module):
    """Times, and a class, to what the features are projected on."""

    def __init__(self, into: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed, self.layers = EqualisedLinear(into, width), layers
        for number in range(layers):
            self.add_module(f"fc{number}", EqualisedLinear(width, width, rate=RATE, active=True))

    def forward(self, condition: Tensor) -> Tensor:
        """condition: (B, into) -> (B, width)."""
        x = unit(self.embed(condition))
        for number in range(self.layers):
            x = self.get_submodule(f"fc{number}")(x)
        return x


def block(config: Config, side: int) -> JudgeBlock:
    """For features that are so many pixels wide."""
    channels, out = config.channels(side), config.channels(side // 2)
    if side // 2 == JOINED:
        out //= 2
    into = FRAMES * (channels // 2) if side == JOINED else channels
    colours = 3 if side == config.side else 0
    return JudgeBlock(into, channels, out, config.clamp, colours=colours)


class Discriminator(nn.Module):
    """Videos of `FRAMES` frames to logits, positive for real ones."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.sides = config.sides[:0:-1]
        self.time_encoder = Differences()
        for side in self.sides:
            self.add_module(f"b{side}", block(config, side))
        self.b4 = Epilogue(config.channels(4), config.channels(4), config.clamp, varied=True)
        into = TIMES + len(config.classes)
        self.mapping = Conditions(into, config.channels(4), config.judge_layers)

    def forward(self, videos: Tensor, times: Tensor, label: Tensor | None = None) -> Tensor:
        """videos: (B, FRAMES, 3, side, side), about -1 to 1; times: (B, FRAMES) in frames; label:
        (B, classes) -> (B,)."""
        x = videos.flatten(0, 1)
        for side in self.sides:
            if side == JOINED:
                x = x.unflatten(0, (len(videos), -1)).flatten(1, 2)
            x = self.get_submodule(f"b{side}")(x)
        condition = self.time_encoder(times)
        if label is not None:
            condition = torch.cat([label, condition], dim=1)
        projected = self.b4(x) * self.mapping(condition)
        return projected.sum(1) / math.sqrt(projected.shape[1])
