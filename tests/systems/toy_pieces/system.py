"""The toy of pieces as a system."""

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

from .about import ABOUT
from .network import PATCH, Network

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.request import Request
    from dln.core.training.stage import Stage

PATCHES = 4


@dataclass(frozen=True)
class Config:
    width: int = 16

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"width must be positive, not {self.width}")


class Step(nn.Module):
    """One patch more."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """patch: (B, PATCH), state: (B, width) -> the next patch, the next state."""
        return self.network(patch, state)


class Model(SystemModel):
    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config, self.network = config, Network(config.width)

    def graphs(self) -> dict[str, Graph]:
        def example(batch: int) -> dict[str, Value]:
            return {"patch": torch.randn(batch, PATCH),
                    "state": torch.randn(batch, self.config.width)}  # fmt: skip

        graph = Graph("step", Step(self.network), ("guess", "after"), example,
                      {"batch": Range(1, 1, 8)})  # fmt: skip
        return {graph.name: graph}


class ToyPieces(System):
    about, Config, PRESETS, Model = ABOUT, Config, {"tiny": Config()}, Model

    def stages(self, model: Model, source: Any, options: Any) -> list[Stage]:
        from .training import PiecesStage

        return [PiecesStage(model, source, options)]

    def sample(self, engine: Engine, model: Model, request: Request, on_progress: Any) -> Stream:
        rng = np.random.default_rng(request.seed)
        patches = [torch.from_numpy(rng.uniform(-1, 1, (1, PATCH)).astype(np.float32))]
        state = torch.zeros(1, model.config.width)
        for number in range(1, PATCHES):
            out = engine.run("step", patch=patches[-1], state=state)
            patches.append(out["guess"].cpu())
            state = out["after"]
            on_progress(number, PATCHES - 1, "patches")
        pixels = torch.cat(patches).view(1, 8, 8, 3).movedim(-1, 1)
        return Stream.of(Clip(to_frames((pixels + 1) / 2), 1.0))


SYSTEM = ToyPieces()
