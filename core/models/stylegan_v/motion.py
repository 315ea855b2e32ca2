"""Motion codes: noise at anchors, smoothed along time, and a position that never comes again.

2112.14683, section 3.2. Tensor names are the published ones. One thing is begun otherwise: there
the kernels along time are white noise, so that neighbouring anchors know nothing of each other
until millions of clips have taught it (these layers learn a hundredth as fast as others). Here they
are waves that rise and fall with the kernel, in pairs a quarter apart, mixed as complex numbers:
what moves is smooth from the first step, and turns one way, as hours, clouds and walkers do.
"""

import math

import torch
from torch import Tensor, nn

from ..layers.equalised import EqualisedConv1d, EqualisedLinear
from .config import Config

KERNEL, LAYERS = 11, 2
REACH = (KERNEL - 1) * LAYERS  # further noise codes that one motion code is made of
WINDOW = REACH + 2  # noise codes that a frame is made of: those of the anchors on both sides
RATE = 0.01
SLOWEST, FASTEST = 0.1, 0.8  # waves at the beginning, in radians from anchor to anchor


class TimeEncoder(nn.Module):
    """The acyclic positional encoding: waves whose frequencies and phases a motion code gives,
    pinned to zero at the anchors, and the aligned codes between them."""

    freqs: Tensor
    phase_scales: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        latent, waves = config.latent, config.waves
        self.periods_predictor = EqualisedLinear(latent, waves, bias=None)
        self.phase_predictor = EqualisedLinear(latent, waves, bias=None)
        self.aligners_predictor = EqualisedLinear(latent, config.motion, bias=None)
        shortest, longest = math.log2(config.anchor_distance), math.log2(config.longest_period)
        periods = 2 ** torch.linspace(shortest, longest, waves, dtype=torch.float64).flip(0)
        self.register_buffer("freqs", (2 * math.pi / periods).float()[None])
        self.register_buffer("phase_scales", (config.longest_period / periods).float()[None])

    def forward(self, left: Tensor, right: Tensor, anchor: Tensor, moment: Tensor, distance: int):
        """left, right: (T, C), the motion codes of the anchors around; anchor: (T,), the time of
        the left one, moment: (T,), in frames -> (T, C).

        v(t) = p(t) - lerp(p(t_l), p(t_r)) + lerp(A u_l, A u_r)
        """
        speed = self.freqs * (self.periods_predictor(left).tanh() + 1)
        phase = self.phase_predictor(left) * self.phase_scales
        share = ((moment - anchor) / distance)[:, None]

        def waves(time: Tensor) -> Tensor:
            angle = speed * time[:, None] + phase
            return torch.cat([angle.sin(), angle.cos()], dim=1)

        pinned = torch.lerp(waves(anchor), waves(anchor + distance), share)
        aligned = torch.lerp(self.aligners_predictor(left), self.aligners_predictor(right), share)
        return waves(moment) - pinned + aligned


class MotionEncoder(nn.Module):
    """Noise at anchors -> the motion code of each moment."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.distance = config.anchor_distance
        latent = config.latent
        into = latent + len(config.classes)
        self.conv = nn.ModuleList(
            EqualisedConv1d(i, latent, KERNEL, RATE) for i in (into, *[latent] * (LAYERS - 1))
        )
        self.time_encoder = TimeEncoder(config)
        self._begin(latent)

    @torch.no_grad()
    def _begin(self, latent: int) -> None:
        """Of the noise the first layer makes waves, the second smooths and mixes them; the numbers
        of a class stay as they are drawn."""
        for layer, kernels in zip(self.conv, (_waves(latent), _mixed(latent)), strict=True):
            weight = layer.get_parameter("weight")
            scale = weight.square().mean().sqrt() / kernels.square().mean((1, 2)).sqrt()
            weight[:, :latent] = kernels * scale[:, None, None]

    def codes(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """noise: (B, N, C), one code an anchor; label: (B, classes) -> (B, N - REACH, C)."""
        if label is not None:
            noise = torch.cat([noise, label[:, None].expand(-1, noise.shape[1], -1)], dim=2)
        x = noise.transpose(1, 2)
        for layer in self.conv:
            x = layer(x)
        return x.transpose(1, 2)

    def forward(
        self,
        noise: Tensor,
        times: Tensor,
        label: Tensor | None = None,
        first: Tensor | None = None,
    ) -> Tensor:
        """noise: (B, N, C) at the anchors from `first` on, (B,), which is 0 where left out; times:
        (B, T) in frames -> (B T, C)."""
        codes = self.codes(noise, label)
        index = (times / self.distance).floor().long()
        begin = 0 if first is None else first[:, None]
        left, right = (_at(codes, index - begin + step) for step in (0, 1))
        anchor = (index * self.distance).to(times.dtype)
        return self.time_encoder(left, right, anchor.flatten(), times.flatten(), self.distance)


def _window() -> tuple[Tensor, Tensor]:
    """Anchors from the kernel's middle, and how much they weigh: (KERNEL,) each."""
    places = torch.arange(KERNEL) - (KERNEL - 1) / 2
    return places, torch.cos(math.pi * places / (KERNEL + 1)).square()


def _waves(channels: int) -> Tensor:
    """(channels, channels, KERNEL): each pair is a cosine and a sine along time of one mix of the
    channels, slow waves first."""
    places, window = _window()
    pairs = -(-channels // 2)
    speeds = torch.logspace(math.log10(SLOWEST), math.log10(FASTEST), pairs)
    angle = speeds[:, None] * places
    waves = torch.stack([angle.cos(), angle.sin()], 1) * window
    mix = torch.randn(pairs, 1, channels, 1)
    return (mix * waves[:, :, None]).flatten(0, 1)[:channels]


def _mixed(channels: int) -> Tensor:
    """(channels, channels, KERNEL): pairs added up after turning each, which keeps their sense."""
    pairs = -(-channels // 2)
    real, imaginary = torch.randn(2, pairs, pairs)
    rows = torch.stack([real, -imaginary, imaginary, real], -1).unflatten(-1, (2, 2))
    turned = rows.transpose(1, 2).flatten(2).flatten(0, 1)
    return turned[:channels, :channels, None] * _window()[1]


def _at(codes: Tensor, index: Tensor) -> Tensor:
    """codes: (B, A, C), index: (B, T) -> (B T, C)."""
    return codes.gather(1, index[..., None].expand(-1, -1, codes.shape[2])).flatten(0, 1)


def anchors_for(last: float, distance: int) -> int:
    """Noise codes for moments from 0 to `last`, in frames."""
    return math.floor(last / distance) + WINDOW
