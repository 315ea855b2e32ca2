"""A model as named tensor functions, the same for every engine that runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Graph:
    """One pure function: named tensors in, named tensors out.

    module(**inputs) returns the tensors of `outputs` in order. example() makes inputs of a
    typical size; axes[input][dimension] names the dimensions that may vary.
    """

    name: str
    module: nn.Module
    outputs: tuple[str, ...]
    example: Callable[[], dict[str, Tensor]]
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


class Engine(Protocol):
    """What a sampling loop may do with a model: run a graph by its name."""

    name: str

    def run(self, graph: str, **inputs: Tensor) -> dict[str, Tensor]:
        """Inputs and outputs by name; host tensors in, host tensors out."""
        ...


class TorchEngine:
    """Runs the graphs as they are, in PyTorch."""

    name = "torch"

    def __init__(self, graphs: Mapping[str, Graph], device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._graphs = graphs
        for graph in graphs.values():
            graph.module.to(self.device).eval()

    def run(self, graph: str, **inputs: Tensor) -> dict[str, Tensor]:
        """Run one graph without gradients; inputs move to the engine's device."""
        found = self._graphs[graph]
        with torch.inference_mode():
            moved = {name: tensor.to(self.device) for name, tensor in inputs.items()}
            return dict(zip(found.outputs, found.module(**moved), strict=True))
