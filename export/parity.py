"""Does an exported graph compute what the model computes? Measured, at many shapes, or refused."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dln.core.errors import DlnError
from dln.core.models.engine import Engine, TorchEngine
from dln.core.models.graph import Graph, Range, Value

SEEDS = (0, 1, 2)
INTERIOR = 3  # shapes beside the smallest, the typical and the largest
# Largest error, relative to the largest value of the output (at least 1), or lowest signal-to-
# noise ratio in dB; share of integers that may differ (nearest codes of halved vectors do).
LIMITS = {
    "fp32": {"error": 1e-4, "differing": 1e-3},
    "fp16": {"snr_db": 40.0, "differing": 0.05},
    "bf16": {"snr_db": 20.0, "differing": 0.3},
    "int8": {"snr_db": 12.0, "differing": 0.5},
}


class ParityError(DlnError):
    """An export that computes something else."""


@dataclass
class Difference:
    """The worst that was seen of one graph, over `runs` runs."""

    runs: int = 0
    error: float = 0.0
    snr_db: float = float("inf")
    differing: float = 0.0
    shapes: list[str] = field(default_factory=list)

    def add(self, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
        """Compare one run's outputs. ParityError for other shapes or values that are no numbers."""
        self.runs += 1
        for name, want in expected.items():
            got = found[name].to(want.device)
            if got.shape != want.shape:
                raise ParityError(f"'{name}' is {list(got.shape)}, not {list(want.shape)}")
            if want.is_floating_point():
                self._compare(name, want.double(), got.double())
            elif want.numel():
                self.differing = max(self.differing, float((want != got).double().mean()))

    def _compare(self, name: str, want: Tensor, got: Tensor) -> None:
        bad = int((~torch.isfinite(want - got)).sum())  # inf - inf is none either
        if bad:
            raise ParityError(f"'{name}' holds {bad} values that are not finite")
        if want.numel() == 0:
            return
        peak, gap = float(want.abs().max()), want - got
        self.error = max(self.error, float(gap.abs().max()) / max(1.0, peak))
        power, noise = float(want.square().mean()), float(gap.square().mean())
        if noise > 0:
            ratio = 10 * float(np.log10(power / noise)) if power > 0 else -float("inf")
            self.snr_db = min(self.snr_db, ratio)

    def broken(self, precision: str) -> str | None:
        """Which limit of the precision is passed, in words."""
        limits = LIMITS[precision]
        if self.error > limits.get("error", float("inf")):
            return f"error {self.error:.2g} above {limits['error']:.0e}"
        if self.snr_db < limits.get("snr_db", 0.0):
            return f"signal-to-noise ratio {self.snr_db:.1f} dB below {limits['snr_db']:.0f} dB"
        if self.differing > limits["differing"]:
            return f"{self.differing:.1%} of the integers differ"
        return None

    def report(self) -> dict[str, Any]:
        """For the manifest; an exact result has no signal-to-noise ratio."""
        exact = self.snr_db == float("inf")
        return asdict(self) | {"snr_db": None if exact else round(self.snr_db, 2)}


def check_graph(graph: Graph, engine: Engine, precision: str) -> Difference:
    """Run the graph in PyTorch (fp32) and in `engine` at every shape with every seed.

    Raises ParityError that names the graph, the shape and the error.
    """
    reference, found = TorchEngine({graph.name: graph}), Difference()
    for sizes in shapes(graph):
        words = ", ".join(f"{name} {size}" for name, size in sizes.items())
        found.shapes.append(words)
        for seed in SEEDS:
            inputs = example(graph, sizes, seed)
            expected = reference.run(graph.name, **inputs)
            try:
                found.add(expected, engine.run(graph.name, **inputs))
            except Exception as error:
                message = getattr(error, "message", None) or str(error).strip()
                raise ParityError(f"graph '{graph.name}' at {words}: {message}") from error
        broken = found.broken(precision)
        if broken:
            raise ParityError(f"graph '{graph.name}' at {words}: {broken}")
    return found


def check_calls(
    graph: Graph, engine: Engine, precision: str, calls: list[dict[str, Tensor]]
) -> Difference:
    """The same with inputs that a sampling loop has given, by their names in the file."""
    reference, found = TorchEngine({graph.name: graph}), Difference(shapes=["as while sampling"])
    for call in calls:
        inputs = unflatten(graph, call)
        try:
            found.add(reference.run(graph.name, **inputs), engine.run(graph.name, **inputs))
        except ParityError as error:
            raise ParityError(f"graph '{graph.name}' while sampling: {error.message}") from error
    if broken := found.broken(precision):
        raise ParityError(f"graph '{graph.name}' while sampling: {broken}")
    return found


def unflatten(graph: Graph, tensors: Mapping[str, Tensor]) -> dict[str, Value]:
    """The inputs whose parts `flatten` has named."""
    made: dict[str, Value] = {}
    for name, value in graph.inputs().items():
        if isinstance(value, Tensor):
            made[name] = tensors[name]
        else:
            made[name] = [tensors[f"{name}_{number}"] for number in range(len(value))]
    return made


def shapes(graph: Graph) -> Iterator[dict[str, int]]:
    """Smallest, typical and largest sizes, then some between that no trace has seen."""
    for end in ("smallest", "typical", "largest"):
        yield {name: getattr(limits, end) for name, limits in graph.sizes.items()}
    if graph.sizes:
        rng = random.Random(graph.name)
        for _ in range(INTERIOR):
            yield {name: between(limits, rng) for name, limits in graph.sizes.items()}


def between(limits: Range, rng: random.Random) -> int:
    """A size in the range, small ones as likely as large ones."""
    low, high = math.log(limits.smallest + 1), math.log(limits.largest + 1)
    return min(limits.largest, max(limits.smallest, round(math.exp(rng.uniform(low, high))) - 1))


def example(graph: Graph, sizes: dict[str, int], seed: int) -> dict[str, Value]:
    """Inputs of these sizes, the same for the same seed; torch's own state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return graph.inputs(**sizes)
