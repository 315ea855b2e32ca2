"""A StyleGAN-V of a few thousand weights, and an engine that keeps what it is asked."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.models.engine import TorchEngine
from dln.core.models.request import Request
from dln.core.models.stylegan_v.config import Config
from dln.core.models.stylegan_v.model import Model
from dln.core.models.stylegan_v.sample import sample
from dln.core.progress import unheard


class Spy(TorchEngine):
    """PyTorch; calls: the graphs that were run with what they were given."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.graphs())
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def run(self, graph: str, **inputs: Any) -> dict[str, Tensor]:
        self.calls.append((graph, inputs))
        return super().run(graph, **inputs)

    def given(self, graph: str, name: str) -> Tensor:
        """That input of all calls of a graph, one after the other."""
        return torch.cat([inputs[name] for called, inputs in self.calls if called == graph])


def toy(seed: int = 0, **sizes: Any) -> Model:
    """With weights as training begins with, and the mean of its styles."""
    torch.manual_seed(seed)
    model = Model(Config(**MICRO["stylegan-v"] | sizes)).eval()
    mapping, classes = model.generator.mapping, len(model.config.classes)
    label = torch.eye(classes).repeat(500, 1) if classes else None
    with torch.no_grad():
        styles = mapping(torch.randn(500 * max(1, classes), model.config.latent), label)
    mapping.w_avg.copy_(styles.mean(0))
    return model


def frames_of(model: Model, engine: Any = None, seed: int = 7, **asked: Any) -> Any:
    """uint8 (T, H, W, 3): the clip of what is asked."""
    request = Request.of("", seed, asked)
    return sample(engine or Spy(model), model, request, unheard).clip().frames
