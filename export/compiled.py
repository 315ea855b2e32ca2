"""PyTorch with each graph through torch.compile."""

from collections.abc import Mapping
from dataclasses import replace
from shutil import which

import torch
import torch._dynamo
from torch import Tensor

from dln.core.errors import MissingCapability, UsageError
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Value, flatten

COMPILERS = ("c++", "g++", "clang++", "cl")
MOST = 32  # compilations of one function, which graphs of one class share


class CompiledEngine(TorchEngine):
    """Each graph compiled whole or not at all, once for all sizes that it takes: a new one is
    compiled only where a size is 1, or no longer is."""

    name = "torch-compile"

    def __init__(self, graphs: Mapping[str, Graph], device: str = "cpu") -> None:
        """MissingCapability where nothing here compiles."""
        if device == "cpu" and not any(map(which, COMPILERS)):
            raise MissingCapability("torch.compile needs a C++ compiler, and none is here",
                                    hint="sudo apt install g++")  # fmt: skip
        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(MOST, dynamo.recompile_limit)
        # fullgraph: an error rather than eager torch measured under another name.
        whole = {
            name: replace(graph, module=torch.compile(graph.module, fullgraph=True))
            for name, graph in graphs.items()
        }
        super().__init__(whole, device)
        self._axes = {name: graph.axes() for name, graph in graphs.items()}

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """As TorchEngine's."""
        found, axes = self._graphs[graph], self._axes[graph]
        # Not inference_mode: what it makes and what the loop makes are tensors of two kinds, and
        # each mixture of them would be compiled anew.
        with torch.no_grad():
            ready = {name: self._ready(value) for name, value in inputs.items()}
            for name, tensor in flatten(ready).items():
                # All at once: torch finds out one after the other, and takes sizes that happen to
                # be equal for one.
                torch._dynamo.maybe_mark_dynamic(tensor, list(axes.get(name, ())))
            return dict(zip(found.outputs, found.module(**ready), strict=True))

    def _ready(self, value: Value) -> Value:
        here = self._here(value)
        return alone(here) if isinstance(here, Tensor) else [alone(part) for part in here]


def alone(tensor: Tensor) -> Tensor:
    """The same numbers as a tensor by itself: that it is expanded, a part of another one, or
    given twice would be compiled in."""
    return torch.from_dlpack(tensor.contiguous())


def compiled(graphs: Mapping[str, Graph], device: str, precision: str) -> CompiledEngine:
    """UsageError for another precision than fp32, MissingCapability where nothing compiles."""
    if precision != "fp32":
        raise UsageError("torch-compile is measured in fp32 alone", hint="--precision fp32")
    return CompiledEngine(graphs, device)
