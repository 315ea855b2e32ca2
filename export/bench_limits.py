"""How fast this machine could be: the work in a graph's calls, and the machine's own two rates.

A graph's time has two floors: its floating-point operations at the machine's matrix-product rate,
and the bytes that it must read (weights, caches) at the rate at which memory streams them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from dln.core.models.graph import Value, flatten
from dln.core.training.speed import fastest

# (name, number of parts or None for one tensor, shape, type) of each input
Signature = tuple[tuple[str, int | None, tuple[int, ...], torch.dtype], ...]
MOST_SHAPES = 64  # of one graph; counting each takes about a call's time
COLUMNS = 1024


@dataclass(frozen=True)
class Workload:
    """flop: floating-point operations of matrix products; read_bytes: what these read of weights
    and inputs, at four bytes a number."""

    flop: int
    read_bytes: int


def signature(inputs: Mapping[str, Value]) -> Signature:
    """Names, shapes and types of a call's inputs."""
    found = []
    for name, value in inputs.items():
        parts = None if isinstance(value, Tensor) else len(value)
        first = value if isinstance(value, Tensor) else value[0]
        found.append((name, parts, tuple(first.shape), first.dtype))
    return tuple(found)


def blank(signed: Signature, device: str) -> dict[str, Value]:
    """Inputs of zeros with this signature: the work does not depend on their values."""
    found: dict[str, Value] = {}
    for name, parts, shape, dtype in signed:
        made = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(parts or 1)]
        found[name] = made[0] if parts is None else made
    return found


class Reads(TorchDispatchMode):
    """Counts the bytes of given tensors that matrix products read, each once a product."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.bytes = 0
        self._watched = {tensor.untyped_storage().data_ptr() for tensor in tensors}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._overloadpacket in flop_registry:
            self.bytes += sum(arg.nbytes for arg in args if self._watches(arg))
        return func(*args, **(kwargs or {}))

    def _watches(self, arg: Any) -> bool:
        # One dimension is a bias, or a number: nothing to stream.
        large = isinstance(arg, Tensor) and arg.dim() > 1
        return large and arg.untyped_storage().data_ptr() in self._watched


def count(module: nn.Module, inputs: Mapping[str, Value]) -> Workload:
    """The work of one call. Embeddings read a few rows only and are left out."""
    reads = Reads([*module.parameters(), *module.buffers(), *flatten(inputs).values()])
    flops = FlopCounterMode(display=False)
    # Not inference_mode: there a linear map reaches the counters as one operation they miss.
    with torch.no_grad(), reads, flops:
        module(**inputs)
    return Workload(flops.get_total_flops(), reads.bytes)


def workload(
    module: nn.Module, calls: Counter[Signature], device: str
) -> list[tuple[int, Workload]]:
    """How often each shape is called, and the work of one such call; the rarest shapes beyond
    MOST_SHAPES are left out."""
    often = calls.most_common(MOST_SHAPES)
    return [(times, count(module, blank(signed, device))) for signed, times in often]


def streaming_rate(size: int, device: str, wait: Callable[[], None]) -> float:
    """Bytes a second at which a matrix of `size` bytes is read for a matrix-vector product.

    The matrix is as large as what a graph reads, so it lies in the same cache or memory.
    """
    rows = max(1, size // (4 * COLUMNS))
    matrix, vector = torch.randn(rows, COLUMNS, device=device), torch.randn(COLUMNS, device=device)
    out = matrix.new_empty(rows)
    return matrix.nbytes / fastest(lambda: torch.mv(matrix, vector, out=out), wait)
