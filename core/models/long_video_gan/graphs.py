"""LongVideoGAN as pure tensor functions: codes to styles to small frames, and those to large ones.

Every size is a constant of the configuration: the same frame is computed by the same calls,
whatever clip asks for it. Large frames are made one by one, which ONNX Runtime does fastest. What
filters the noise in double precision is no part of the graphs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..graph import Graph, Value
from .conditions import WINDOW
from .windows import SCALE, coded

if TYPE_CHECKING:
    from ..layers.mapping import Mapping
    from .config import Config
    from .low_generator import Generator as LowGenerator
    from .low_generator import LatentMapping
    from .super_generator import Generator as SuperGenerator
    from .super_generator import Synthesis


class LatentGraph(nn.Module):
    """Codes to the styles of as many frames."""

    def __init__(self, mapping: LatentMapping) -> None:
        super().__init__()
        self.mapping = mapping

    def forward(self, codes: Tensor) -> tuple[Tensor]:
        """codes: (1, C, SCALE) -> styles (1, C, SCALE)."""
        return (self.mapping(codes),)


class LowGraph(nn.Module):
    """The styles of a window, and of the padding around it, to its small frames."""

    def __init__(self, generator: LowGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, styles: Tensor) -> tuple[Tensor]:
        """styles: (1, C, coded(SCALE)) -> small (1, SCALE, 3, h, w), about -1 to 1."""
        return (self.generator.synthesis(styles, SCALE).to(styles.dtype),)


class MappingGraph(nn.Module):
    """Noise to how the large frames of a video look."""

    def __init__(self, mapping: Mapping) -> None:
        super().__init__()
        self.mapping = mapping

    def forward(self, z: Tensor) -> tuple[Tensor]:
        """z: (1, Z) -> w (1, Z)."""
        return (self.mapping(z),)


class SuperGraph(nn.Module):
    """A small frame, with those around it, to a large one."""

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.synthesis = synthesis

    def forward(self, small: Tensor, w: Tensor) -> tuple[Tensor]:
        """small: (1, WINDOW, 3, h, w), w: (1, Z) -> pixels (1, 1, 3, H, W), about 0 to 1."""
        return ((self.synthesis(small, w).to(w.dtype) + 1) / 2,)


def build_graphs(low: LowGenerator, large: SuperGenerator, config: Config) -> dict[str, Graph]:
    """The graphs "latent", "low", "mapping" and "super". All but the last are always in float32: in
    int8 small frames would be 11 dB from what they are, and they are a twentieth of the work."""
    codes, latent, sides = config.codes, config.latent, (config.low_height, config.low_width)

    def coding() -> dict[str, Value]:
        return {"codes": torch.randn(1, codes, SCALE)}

    def window() -> dict[str, Value]:
        return {"styles": torch.randn(1, codes, coded(SCALE))}

    def noise() -> dict[str, Value]:
        return {"z": torch.randn(1, latent)}

    def neighbours() -> dict[str, Value]:
        small = torch.randn(1, WINDOW, 3, *sides) / 2
        return {"small": small, "w": torch.randn(1, latent)}

    styled = large.SG3
    found = [
        Graph("latent", LatentGraph(low.latent_mapping), ("styles",), coding, exact=True),
        Graph("low", LowGraph(low), ("small",), window, exact=True),
        Graph("mapping", MappingGraph(styled.mapping), ("w",), noise, exact=True),
        Graph("super", SuperGraph(styled.synthesis), ("pixels",), neighbours),
    ]
    return {graph.name: graph for graph in found}
