"""The toy that streams as a system: each frame depends on seed and time alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.media.stream import Stream
from dln.core.models.fields import Checked, size
from dln.core.models.graph import Graph, Range, Value
from dln.core.models.layers.pixels import to_frames
from dln.core.models.system import System, SystemModel

from .about import ABOUT, Sampling

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.request import Request
    from dln.core.training.stage import Stage

BLOCK, LATENT, FPS = 64, 4, 10.0


@dataclass(frozen=True)
class Config(Checked):
    width: int = size(8)
    height_px: int = size(36, most=2048)
    width_px: int = size(64, most=2048)


class Waves(nn.Module):
    """Products of waves along both sides, mixed by what latent and time say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows, self.columns = nn.Linear(2, width), nn.Linear(2, width)
        self.mix = nn.Linear(LATENT + 2, 3 * width)

    def forward(self, z: Tensor, moments: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor]:
        """z: (B, LATENT), moments: (B, T) in seconds, y: (H,) and x: (W,) from 0 to 1 ->
        (B T, 3, H, W) in [0, 1]."""
        rows = self.rows(torch.stack([y, y * y], dim=1)).sin()
        columns = self.columns(torch.stack([x, x * x], dim=1)).cos()
        waves = (rows[:, None] * columns[None]).permute(2, 0, 1)
        clock = torch.stack([moments.sin(), (0.1 * moments).cos()], dim=-1)
        told = torch.cat([z[:, None].expand(-1, moments.shape[1], -1), clock], dim=-1)
        mix = self.mix(told).flatten(0, 1).unflatten(1, (3, -1))
        return (torch.tensordot(mix, waves, dims=1).sigmoid(),)


class Model(SystemModel):
    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config, self.waves = config, Waves(config.width)

    def graphs(self) -> dict[str, Graph]:
        def example(batch: int, frames: int, height: int, width: int) -> dict[str, Value]:
            return {"z": torch.randn(batch, LATENT), "moments": 100 * torch.rand(batch, frames),
                    "y": torch.linspace(0, 1, height),
                    "x": torch.linspace(0, 1, width)}  # fmt: skip

        sizes = {"batch": Range(1, 1, 4), "frames": Range(1, BLOCK, BLOCK),
                 "height": Range(2, 36, 128), "width": Range(2, 64, 128)}  # fmt: skip
        return {"paint": Graph("paint", self.waves, ("pixels",), example, sizes)}


class ToyStream(System):
    about, Config, PRESETS, Model = ABOUT, Config, {"tiny": Config()}, Model

    def stages(self, model: Model, source: Any, options: Any) -> list[Stage]:
        from .training import WavesStage

        return [WavesStage(model, source, options)]

    def sample(self, engine: Engine, model: Model, request: Request, on_progress: Any) -> Stream:
        height, width = request.size or (model.config.height_px, model.config.width_px)
        frames, fps = request.frames or BLOCK, request.fps or FPS
        start = Sampling(**request.settings).start
        rng = np.random.default_rng(request.seed)
        z = torch.from_numpy(rng.standard_normal((1, LATENT), np.float32))

        def blocks() -> Iterator[np.ndarray]:
            for first in range(0, frames, BLOCK):
                numbers = np.arange(first, min(first + BLOCK, frames))
                moments = torch.from_numpy(np.float32(start + numbers / fps))[None]
                pixels = engine.run("paint", z=z, moments=moments, y=torch.linspace(0, 1, height),
                                    x=torch.linspace(0, 1, width))["pixels"]  # fmt: skip
                on_progress(int(numbers[-1]) + 1, frames, "frames")
                yield to_frames(pixels)

        return Stream(blocks(), fps, (height, width), frames)


SYSTEM = ToyStream()
