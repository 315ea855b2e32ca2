"""StyleGAN-V as pure tensor functions: a style, motion codes, pictures. T frames, Z latent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..graph import Graph, Range, Value
from .motion import WINDOW

if TYPE_CHECKING:
    from ..layers.mapping import Mapping
    from .config import Config
    from .generator import Generator, Synthesis
    from .motion import MotionEncoder

# That one call makes: so many that a cache nearly holds them; two, for their number to vary.
BLOCK_PIXELS, FEWEST_FRAMES, MOST_FRAMES = 1 << 15, 2, 32
# Examples lie among so many anchors, their noise is so much calmer than any: a phase is up to 64
# times what a code says, which float32 tells to six digits, and each engine to other ones.
EARLY, CALM = 16, 8


class MappingGraph(nn.Module):
    """Noise, and a class where there are some, to the style of a video."""

    def __init__(self, mapping: Mapping) -> None:
        super().__init__()
        self.mapping = mapping

    def forward(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor]:
        """z: (B, Z), label: (B, classes), one-hot -> w (B, Z)."""
        return (self.mapping(z, label),)


class MotionGraph(nn.Module):
    """The noise around moments to their motion codes."""

    def __init__(self, encoder: MotionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, noise: Tensor, anchor: Tensor, moment: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor]:
        """noise: (T, WINDOW, Z), that of the last anchor before each moment and of those after it;
        anchor, moment: (T,) in frames, label: (T, classes), one-hot -> motion (T, Z)."""
        left, right = self.encoder.codes(noise, label).unbind(1)
        distance = self.encoder.distance
        return (self.encoder.time_encoder(left, right, anchor, moment, distance),)


class SynthesisGraph(nn.Module):
    """Motion codes and styles to pictures."""

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.synthesis = synthesis

    def forward(self, motion: Tensor, w: Tensor) -> tuple[Tensor]:
        """motion, w: (T, Z) -> pixels (T, 3, side, side), about 0 to 1."""
        return ((self.synthesis(motion, w).to(w.dtype) + 1) / 2,)


def block_frames(config: Config) -> int:
    """Frames that one call makes of this size."""
    return max(FEWEST_FRAMES, min(MOST_FRAMES, BLOCK_PIXELS // config.side**2))


def build_graphs(generator: Generator, config: Config) -> dict[str, Graph]:
    """The graphs of a generator: "mapping", "motion" and "synthesis". The first two are so small,
    and the phases of waves so large, that they compute in float32 always."""
    latent, classes, distance = config.latent, len(config.classes), config.anchor_distance
    block = block_frames(config)
    frames = {"frames": Range(1, block, MOST_FRAMES)}

    def labels(count: int) -> dict[str, Value]:
        if not classes:
            return {}
        return {"label": F.one_hot(torch.randint(classes, (count,)), classes).float()}

    def mapping(batch: int) -> dict[str, Value]:
        return {"z": torch.randn(batch, latent), **labels(batch)}

    def motion(frames: int) -> dict[str, Value]:
        anchor = distance * torch.randint(EARLY, (frames,)).float()
        moment = anchor + distance * torch.rand(frames)
        noise = torch.randn(frames, WINDOW, latent) / CALM
        return {"noise": noise, "anchor": anchor, "moment": moment, **labels(frames)}

    def synthesis(frames: int) -> dict[str, Value]:
        return {"motion": torch.randn(frames, config.motion), "w": torch.randn(frames, latent)}

    encoder, made = generator.synthesis.motion_encoder, SynthesisGraph(generator.synthesis)
    found = [
        Graph("mapping", MappingGraph(generator.mapping), ("w",), mapping,
              {"batch": Range(1, 1, 64)}, exact=True),
        Graph("motion", MotionGraph(encoder), ("motion",), motion, frames, exact=True),
        Graph("synthesis", made, ("pixels",), synthesis,
              frames | {"frames": Range(1, block, block)}),
    ]  # fmt: skip
    return {graph.name: graph for graph in found}
