"""The super-resolution generator: each large frame from nine small ones.

2206.03429, section 3.2: StyleGAN3's synthesis (2106.12423) without its Fourier features. The small
frames, resampled to each layer's grid, lie on top of each layer's input. Tensor names are the
published ones.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..layers.alias_free import AliasFreeLayer, AliasFreeRgb, signals, stacked
from ..layers.mapping import Mapping
from .conditions import CONDITIONS, Conditions
from .config import CONTEXT, Config

BRIGHTNESS = 0.25  # of what the colours come out as
LAYERS = 2  # of the mapping


class Synthesis(nn.Module):
    """Small frames and styles to large frames."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        sides = config.height, config.width
        made = signals(sides, config.layers, config.margin, config.channel_base, config.channel_max)
        self.grids, self.names, self.resampled = nn.ModuleList(), [], []
        grids: dict[tuple[int, tuple[int, int]], int] = {}
        for number, after in enumerate(made):
            before = made[max(number - 1, 0)]
            grid = before.rate, before.size
            if grid not in grids:
                grids[grid] = len(grids)
                self.grids.append(Conditions(config, before))
            self.resampled.append(grids[grid])
            into = CONDITIONS + (before.channels if number else 0)
            if number < config.layers:
                layer = AliasFreeLayer(into, config.latent, before, after, 3, config.clamp)
            else:
                layer = AliasFreeRgb(into, config.latent, config.clamp)
            height, width = after.size
            self.names.append(f"L{number}_{width}_{height}_{after.channels}")
            self.add_module(self.names[-1], layer)

    def forward(self, low: Tensor, w: Tensor) -> Tensor:
        """low: (B, T + 2 CONTEXT, 3, h, w), w: (B, W) -> (B, T, 3, H, W)."""
        frames = low.shape[1] - 2 * CONTEXT
        given = [grid(low) for grid in self.grids]
        styles = w.repeat_interleave(frames, 0)
        x = None
        for name, grid in zip(self.names, self.resampled, strict=True):
            condition = given[grid]
            x = stacked(condition) if x is None else stacked(x, condition)
            x = self.get_submodule(name)(x, styles)
        assert x is not None
        return x.unflatten(0, (-1, frames)) * BRIGHTNESS


class Styled(nn.Module):
    """The mapping and the synthesis."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.mapping = Mapping(config.latent, LAYERS)
        self.synthesis = Synthesis(config)


class Generator(nn.Module):
    """Large videos from small ones and noise."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.SG3 = Styled(config)

    def forward(self, low: Tensor, z: Tensor) -> Tensor:
        """low: (B, T + 2 CONTEXT, 3, h, w), about -1 to 1, z: (B, latent), one a video -> (B, T,
        3, H, W), about -1 to 1."""
        return self.SG3.synthesis(low, self.SG3.mapping(z))
