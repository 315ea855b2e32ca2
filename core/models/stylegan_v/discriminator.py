"""The discriminator: three frames of a video and the times between them, judged at once.

2112.14683, section 3.3. Tensor names are the published ones.
"""

import math

import torch
from torch import Tensor, nn

from ..layers.equalised import EqualisedConv2d, EqualisedLinear, unit
from .config import FRAMES, Config
from .generator import RATE

JOINED = 16  # the side at which the features of the frames are laid on top of each other
DIFFERENCES, EMBEDDED, WAVES = 1024, 256, 10
TIMES = (FRAMES - 1) * (EMBEDDED + 2 * WAVES)  # numbers that tell the times between the frames
GROUP = 4  # of the minibatch's standard deviation


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


class JudgeBlock(nn.Module):
    """A residual block that halves the sides."""

    def __init__(self, config: Config, side: int) -> None:
        super().__init__()
        channels, clamp = config.channels(side), config.clamp
        out = config.channels(side // 2)
        if side // 2 == JOINED:
            out //= 2
        into = FRAMES * (channels // 2) if side == JOINED else channels
        half = math.sqrt(0.5)
        if side == config.side:
            self.fromrgb = EqualisedConv2d(3, channels, 1, clamp=clamp)
        self.conv0 = EqualisedConv2d(into, channels, 3, clamp=clamp)
        self.conv1 = EqualisedConv2d(channels, out, 3, halve=True, gain=half, clamp=clamp)
        self.skip = EqualisedConv2d(into, out, 1, bias=False, active=False, halve=True, gain=half)
        self.first = side == config.side

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), or pictures (B, 3, H, W) in the first -> (B, C', H / 2, W / 2)."""
        x = self.fromrgb(x) if self.first else x
        return self.skip(x) + self.conv1(self.conv0(x))


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


class Epilogue(nn.Module):
    """4 x 4 features to the numbers that are projected on the condition."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels(4)
        self.conv = EqualisedConv2d(channels + 1, channels, 3, clamp=config.clamp)
        self.fc = EqualisedLinear(16 * channels, channels, active=True)
        self.out = EqualisedLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, 4, 4) -> (B, C)."""
        x = torch.cat([x, deviation(x)], dim=1)
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


class Discriminator(nn.Module):
    """Videos of `FRAMES` frames to logits, positive for real ones."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.sides = config.sides[:0:-1]
        self.time_encoder = Differences()
        for side in self.sides:
            self.add_module(f"b{side}", JudgeBlock(config, side))
        self.b4 = Epilogue(config)
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
