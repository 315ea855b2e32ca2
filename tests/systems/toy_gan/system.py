"""The toy GAN as a system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.errors import UsageError
from dln.core.media.clip import Clip
from dln.core.media.stream import Stream
from dln.core.models.graph import Graph, Range, Value
from dln.core.models.layers.pixels import to_frames
from dln.core.models.system import System, SystemModel

from .about import ABOUT, Sampling
from .networks import Discriminator, Generator

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.request import Request
    from dln.core.training.stage import Stage

FRAMES, FPS = 8, 8.0


@dataclass(frozen=True)
class Config:
    width: int = 16

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"width must be positive, not {self.width}")


class Synthesis(nn.Module):
    """Latents to pixels in [0, 1]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> tuple[Tensor]:
        """z: (B, latent) -> (B, 3, 8, 8)."""
        return ((self.generator(z) + 1) / 2,)


class Model(SystemModel):
    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.generator, self.discriminator = Generator(config.width), Discriminator(config.width)

    def graphs(self) -> dict[str, Graph]:
        def example(batch: int) -> dict[str, Value]:
            return {"z": torch.randn(batch, self.generator.latent)}

        sizes = {"batch": Range(1, FRAMES, 32)}
        return {"synthesis": Graph("synthesis", Synthesis(self.generator), ("pixels",), example,
                                   sizes)}  # fmt: skip


class ToyGan(System):
    about, Config, PRESETS, Model = ABOUT, Config, {"tiny": Config()}, Model

    def stages(self, model: Model, source: Any, options: Any) -> list[Stage]:
        from .training import ToyGanStage

        return [ToyGanStage(model, source, options)]

    def sample(self, engine: Engine, model: Model, request: Request, on_progress: Any) -> Stream:
        frames, settings = request.frames or FRAMES, Sampling(**request.settings)
        rng = np.random.default_rng(request.seed)
        ends = torch.from_numpy(rng.standard_normal((2, model.generator.latent), np.float32))
        walk = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, frames)[:, None])
        pixels = engine.run("synthesis", z=settings.truncation * walk)["pixels"]
        on_progress(1, 1, "calls")
        return Stream.of(Clip(to_frames(pixels), request.fps or FPS))


SYSTEM = ToyGan()
