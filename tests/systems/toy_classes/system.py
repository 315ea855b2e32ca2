"""The toy of classes as a system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.errors import UsageError, closest
from dln.core.media.clip import Clip
from dln.core.media.stream import Stream
from dln.core.models.graph import Graph, Range, Value
from dln.core.models.layers.pixels import to_frames
from dln.core.models.system import System, SystemModel

from .about import ABOUT

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.request import Request
    from dln.core.training.stage import Stage

SIDE, FRAMES, FPS = 8, 4, 4.0


@dataclass(frozen=True)
class Config:
    width: int = 8
    names: tuple[str, ...] = ("anything",)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"width must be positive, not {self.width}")


class Colour(nn.Module):
    """Class and time to a colour that fills the frame."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(classes, width), nn.Linear(width + 1, 3)

    def forward(self, label: Tensor, moment: Tensor) -> tuple[Tensor]:
        """label: (B,), moment: (B,) -> pixels (B, 3, SIDE, SIDE) in [0, 1]."""
        told = torch.cat([self.table(label), moment[:, None]], dim=1)
        return (self.head(told).sigmoid()[:, :, None, None].expand(-1, -1, SIDE, SIDE),)


class Model(SystemModel):
    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.colour = Colour(len(config.names), config.width)

    def graphs(self) -> dict[str, Graph]:
        def example(batch: int) -> dict[str, Value]:
            label = torch.randint(len(self.config.names), (batch,))
            return {"label": label, "moment": torch.rand(batch)}

        graph = Graph("colour", self.colour, ("pixels",), example, {"batch": Range(1, 4, 16)})
        return {graph.name: graph}


class ToyClasses(System):
    about, Config, PRESETS, Model = ABOUT, Config, {"tiny": Config()}, Model

    def fitted(self, config: Config, source: Any) -> dict[str, Any]:
        return {"names": source.classes} if source.classes else {}

    def stages(self, model: Model, source: Any, options: Any) -> list[Stage]:
        from .training import ColourStage

        return [ColourStage(model, source, options)]

    def sample(self, engine: Engine, model: Model, request: Request, on_progress: Any) -> Stream:
        names, frames = model.config.names, request.frames or FRAMES
        if request.label is not None and request.label not in names:
            raise UsageError(f"there is no class {request.label!r}.{closest(request.label, names)}",
                             f"one of {', '.join(names)}")  # fmt: skip
        rng = np.random.default_rng(request.seed)
        chosen = names.index(request.label) if request.label else int(rng.integers(len(names)))
        moments = torch.from_numpy(np.float32(rng.random() + np.arange(frames) / FPS))
        pixels = engine.run("colour", label=torch.full((frames,), chosen), moment=moments)["pixels"]
        on_progress(1, 1, "calls")
        return Stream.of(Clip(to_frames(pixels), request.fps or FPS))


SYSTEM = ToyClasses()
