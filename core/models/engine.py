"""What runs a model's graphs: PyTorch here, other engines in export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import MissingCapability, UsageError
from ..installed import has_torch, without_torch
from ..threads import Load, Threads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .graph import Graph, Value

OnNote = Callable[[str], None]
PROMPT = "text"  # the graph that reads a prompt, in every model


class Engine(Protocol):
    """What a sampling loop may do with a model: run a graph by its name."""

    name: str

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Inputs and outputs by name. Outputs stay on the engine's device and belong to the
        caller; inputs may lie there or on the host."""
        ...


@runtime_checkable
class Differentiable(Engine, Protocol):
    """An engine that has gradients too; PyTorch alone does."""

    def gradient(
        self, graph: str, wrt: str, loss: Callable[[dict[str, Tensor]], Tensor], **inputs: Value
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Run one graph; its outputs, and the gradient of loss(outputs) for the input `wrt`."""
        ...


@contextmanager
def alone() -> Iterator[None]:
    """PyTorch takes one thread: the few rows of a prompt are multiplied no faster by more, and on
    some processors in another order, so that a clip would hang on how many there are."""
    with threads_kept():
        take_threads(1)
        yield


class TorchEngine:
    """Runs the graphs as they are, in PyTorch."""

    name = "torch"

    def __init__(
        self, graphs: Mapping[str, Graph], device: str = "cpu", threads: Threads | None = None
    ) -> None:
        """threads: how many PyTorch is to take from run to run; where left out, as it is."""
        import torch

        self.device = torch.device(device)
        self._graphs, self._threads = graphs, threads
        self._take_threads()
        for graph in graphs.values():
            graph.module.to(self.device).eval()

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Run one graph without gradients; inputs move to the engine's device."""
        import torch

        found = self._graphs[graph]
        self._take_threads()
        with torch.inference_mode(), alone() if graph == PROMPT else nullcontext():
            moved = {name: self._here(value) for name, value in inputs.items()}
            return dict(zip(found.outputs, found.module(**moved), strict=True))

    def gradient(
        self, graph: str, wrt: str, loss: Callable[[dict[str, Tensor]], Tensor], **inputs: Value
    ) -> tuple[dict[str, Tensor], Tensor]:
        """As Differentiable says."""
        import torch

        found = self._graphs[graph]
        self._take_threads()
        moved = {name: self._here(value) for name, value in inputs.items()}
        with torch.enable_grad(), frozen(found.module):
            start = moved[wrt].detach().clone().requires_grad_()  # pyright: ignore
            results = found.module(**moved | {wrt: start})
            outputs = dict(zip(found.outputs, results, strict=True))
            (slope,) = torch.autograd.grad(loss(outputs), start)
        return {name: tensor.detach() for name, tensor in outputs.items()}, slope

    def _take_threads(self) -> None:
        if self._threads is not None:
            take_threads(self._threads.count())

    def _here(self, value: Value) -> Value:
        from torch import Tensor

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


def pick_device(device: str) -> str:
    """ "auto" is the first CUDA GPU, else the CPU; mps, a Mac's GPU, is taken where it is asked
    for. Raises for a device that is not here."""
    kind, _, number = device.partition(":")
    known = device in ("auto", "mps") or kind in ("cpu", "cuda")
    if not known or (number and not number.isdigit()):
        raise UsageError(f"device must be auto, cpu, mps, cuda or cuda:n, not {device!r}")
    if not has_torch():
        if device in ("auto", "cpu"):
            return "cpu"
        raise without_torch(f"the device {device}")
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "mps" and not torch.backends.mps.is_available():
        raise MissingCapability("there is no device mps here", hint="dln doctor")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise MissingCapability(f"there is no device {device} here", hint="dln doctor")
    return device


def torch_engine(
    graphs: Mapping[str, Graph],
    device: str = "auto",
    load: Load | None = None,
    on_note: OnNote = lambda text: None,
) -> Engine:
    """A model's graphs in PyTorch. load: what else this machine does, where as many threads of the
    CPU are to be taken as it leaves free, else those that there are. Raises for a device that is
    not here."""
    import torch

    picked, threads = pick_device(device), None
    if load is not None and picked == "cpu":
        threads = Threads(torch.get_num_threads(), load, on_note)
    return TorchEngine(graphs, picked, threads)


def take_threads(count: int) -> None:
    """Of PyTorch on the CPU, from now on."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


@contextmanager
def threads_kept() -> Iterator[None]:
    """How many there are afterwards is how many there were, of PyTorch's where it is here."""
    if not has_torch():
        yield
        return
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        take_threads(before)
