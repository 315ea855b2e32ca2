"""Engines around another: they watch the calls of a sampling loop, pass them on, compare them."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from dln.core.models.engine import Engine
from dln.core.models.graph import Value, flatten

from .parity import Difference, ParityError

if TYPE_CHECKING:
    from dln.core.media.clip import Clip

MOST_KEPT = 1 << 27  # bytes of outputs that a listener keeps


class Wrapped:
    """An engine that has what the inner one has beside `run` (a device, gradients), and lacks
    what that one lacks: a loop that asks for it is answered as the inner engine would."""

    def __init__(self, engine: Engine) -> None:
        self.name, self._engine = engine.name, engine

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._engine, name)


class Shadow(Wrapped):
    """Runs every call in PyTorch and in another engine, and goes on with PyTorch's outputs."""

    def __init__(self, reference: Engine, engine: Engine) -> None:
        super().__init__(reference)
        self._shadow = engine
        self.found: dict[str, Difference] = {}

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """The reference's outputs. ParityError that names the graph, as Difference.add."""
        expected = self._engine.run(graph, **inputs)
        difference = self.found.setdefault(graph, Difference())
        compare(graph, difference, expected, self._shadow.run(graph, **inputs))
        return expected


def compare(
    graph: str, difference: Difference, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    """Add one call of a loop. ParityError that names the graph, as Difference.add."""
    try:
        difference.add(expected, found)
    except ParityError as error:
        raise ParityError(f"graph '{graph}' while sampling: {error.message}") from error


class Listener(Wrapped):
    """Keeps all integers that go in (the tokens drawn so far among them) and what comes out,
    of the first calls, up to MOST_KEPT bytes."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.heard: list[np.ndarray] = []
        self.made: list[tuple[str, dict[str, Tensor]]] = []
        self.graphs: dict[str, int] = {}  # calls of each
        self._room = MOST_KEPT

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """The engine's outputs, which are the caller's to change."""
        self.graphs[graph] = self.graphs.get(graph, 0) + 1
        tensors = flatten(inputs).values()
        integers = [t.cpu().numpy().ravel() for t in tensors if not t.is_floating_point()]
        self.heard.append(np.concatenate(integers) if integers else np.zeros(0, np.int64))
        outputs = self._engine.run(graph, **inputs)
        self._room -= sum(tensor.nbytes for tensor in outputs.values())
        if self._room >= 0:
            self.made.append((graph, {n: t.to("cpu", copy=True) for n, t in outputs.items()}))
        return outputs


class Recorder(Wrapped):
    """Keeps a copy of some inputs of every graph: of the first calls, then of fewer and fewer, so
    that all of a run is in it."""

    def __init__(self, engine: Engine, most: int) -> None:
        super().__init__(engine)
        self.calls: dict[str, list[dict[str, Tensor]]] = {}
        self._most = most
        self._seen: dict[str, int] = {}
        self._rng = random.Random(0)

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """The engine's outputs."""
        kept, seen = self.calls.setdefault(graph, []), self._seen.get(graph, 0)
        self._seen[graph] = seen + 1
        place = len(kept) if len(kept) < self._most else self._rng.randrange(seen + 1)
        if place < self._most:
            kept[place : place + 1] = [{n: t.clone() for n, t in flatten(inputs).items()}]
        return self._engine.run(graph, **inputs)


def compare_sampling(
    sample: Callable[[Engine], "Clip"], reference: Engine, engine: Engine
) -> dict[str, Any]:
    """A whole loop on both engines.

    graphs: the calls of each. integers, differing_integers: of what goes into the graphs, such as
    tokens. error, snr_db: of what comes out of them, as Difference has it, over the
    compared_calls: those before the first integer that differs, since from there on the two make
    different clips.
    max_level_difference: of a pixel, in levels of 255. ParityError for clips of other shapes.
    """
    ours, theirs = Listener(reference), Listener(engine)
    first, second = (sample(each).frames.astype(np.int16) for each in (ours, theirs))
    if first.shape != second.shape:
        raise ParityError(f"a clip is {list(second.shape)}, not {list(first.shape)}")
    differing = _differing(ours.heard, theirs.heard)
    alike = next((call for call, count in enumerate(differing) if count), len(differing))
    values = Difference()
    for (graph, want), (_, got) in zip(ours.made[:alike], theirs.made[:alike], strict=False):
        compare(graph, values, want, got)
    found = values.report()
    return {
        "calls": len(ours.heard),
        "graphs": ours.graphs,
        "compared_calls": found["runs"],
        "error": found["error"],
        "snr_db": found["snr_db"],
        "integers": sum(call.size for call in ours.heard),
        "differing_integers": sum(differing),
        "max_level_difference": int(np.abs(first - second).max()),
    }


def _differing(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> list[int]:
    """How many integers of each call differ; all of a call that only one of the loops made."""
    pairs = zip_longest(ours, theirs, fillvalue=np.zeros(0, np.int64))
    return [int((a != b).sum()) if a.shape == b.shape else max(a.size, b.size) for a, b in pairs]
