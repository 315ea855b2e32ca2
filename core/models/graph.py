"""A model as named tensor functions, the same for every engine that runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

Value = Tensor | Sequence[Tensor]  # a sequence is one input in several parts, one a layer


@dataclass(frozen=True)
class Range:
    """The values that one size of a graph's inputs may take."""

    smallest: int
    typical: int
    largest: int


@dataclass(frozen=True)
class Graph:
    """One pure function: named tensors in, named tensors out.

    module(**inputs) returns the tensors of `outputs` in order. An input may be a sequence of
    tensors; engines know its parts as name_0, name_1 ... `sizes` names the numbers
    that the shapes follow from, each dimension a sum of them and a constant; example(**sizes)
    makes inputs of these sizes from torch's random state.
    """

    name: str
    module: nn.Module
    outputs: tuple[str, ...]
    example: Callable[..., dict[str, Value]]
    sizes: Mapping[str, Range] = field(default_factory=dict)

    def inputs(self, **sizes: int) -> dict[str, Value]:
        """Example inputs: of the typical sizes, save those that are given."""
        return self.example(**{name: r.typical for name, r in self.sizes.items()} | sizes)

    def axes(self) -> dict[str, dict[int, str]]:
        """The dimensions that vary: {tensor: {dimension: "cached + 16"}}, parts one by one."""
        base = {name: r.typical for name, r in self.sizes.items()}
        shapes = {name: list(t.shape) for name, t in flatten(self.example(**base)).items()}
        terms: dict[tuple[str, int], list[str]] = {}
        rest = {(name, d): n for name, shape in shapes.items() for d, n in enumerate(shape)}
        for size, typical in base.items():
            grown = flatten(self.example(**base | {size: typical + 1}))
            for (name, d), n in list(rest.items()):
                factor = grown[name].shape[d] - shapes[name][d]
                if factor:
                    terms.setdefault((name, d), []).append(f"{factor}*{size}"[2 * (factor == 1) :])
                    rest[name, d] = n - factor * typical
        found: dict[str, dict[int, str]] = {}
        for (name, d), parts in terms.items():
            constant = [str(rest[name, d])] if rest[name, d] else []
            found.setdefault(name, {})[d] = " + ".join([*parts, *constant])
        return found


def flatten(inputs: Mapping[str, Value]) -> dict[str, Tensor]:
    """The same tensors by name, the parts of a sequence as name_0, name_1 ..."""
    found: dict[str, Tensor] = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            found[name] = value
        else:
            found |= {f"{name}_{number}": part for number, part in enumerate(value)}
    return found


class Engine(Protocol):
    """What a sampling loop may do with a model: run a graph by its name."""

    name: str

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Inputs and outputs by name. Outputs stay on the engine's device and belong to the
        caller; inputs may lie there or on the host."""
        ...


class TorchEngine:
    """Runs the graphs as they are, in PyTorch."""

    name = "torch"

    def __init__(self, graphs: Mapping[str, Graph], device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._graphs = graphs
        for graph in graphs.values():
            graph.module.to(self.device).eval()

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Run one graph without gradients; inputs move to the engine's device."""
        found = self._graphs[graph]
        with torch.inference_mode():
            moved = {name: self._here(value) for name, value in inputs.items()}
            return dict(zip(found.outputs, found.module(**moved), strict=True))

    def gradient(
        self, graph: str, wrt: str, loss: Callable[[dict[str, Tensor]], Tensor], **inputs: Value
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Run one graph; its outputs, and the gradient of loss(outputs) for the input `wrt`.

        PyTorch alone can do this: other engines lack the method.
        """
        found = self._graphs[graph]
        moved = {name: self._here(value) for name, value in inputs.items()}
        with torch.enable_grad(), frozen(found.module):
            start = moved[wrt].detach().clone().requires_grad_()  # pyright: ignore
            results = found.module(**moved | {wrt: start})
            outputs = dict(zip(found.outputs, results, strict=True))
            (slope,) = torch.autograd.grad(loss(outputs), start)
        return {name: tensor.detach() for name, tensor in outputs.items()}, slope

    def _here(self, value: Value) -> Value:
        if isinstance(value, Tensor):
            return value.to(self.device)
        return [part.to(self.device) for part in value]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient inside."""
    asking = [p for p in module.parameters() if p.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
