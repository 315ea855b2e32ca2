"""ONNX Runtime on arrays of numpy, where there is no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dln.core.errors import DlnError

from .engines import OnnxEngine

if TYPE_CHECKING:
    import onnxruntime

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


class HostEngine(OnnxEngine):
    """Runs exported graphs on the CPU. Inputs and outputs are arrays of numpy."""

    of_numpy = True  # as `core.models.arrays` asks

    def run(self, graph: str, **inputs: Any) -> dict[str, Any]:
        """Inputs and outputs by name, as every engine; an input may be a list of arrays."""
        return self._running(graph)(flat(inputs))

    def _bound(self, session: onnxruntime.InferenceSession, graph: str) -> Called:
        return Called(session, graph)


class Called:
    """A session that is called with arrays by name."""

    def __init__(self, session: onnxruntime.InferenceSession, graph: str) -> None:
        self._session, self._graph = session, graph
        self._types = {each.name: _TYPES[each.type] for each in session.get_inputs()}
        self._outputs = [each.name for each in session.get_outputs()]

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if inputs.keys() != self._types.keys():
            unknown = ", ".join(sorted(inputs.keys() ^ self._types.keys()))
            raise DlnError(f"graph '{self._graph}' and its inputs differ: {unknown}")
        given = {name: np.asarray(value, self._types[name]) for name, value in inputs.items()}
        made: Any = self._session.run(self._outputs, given)
        return dict(zip(self._outputs, made, strict=True))

    def providers(self) -> list[str]:
        return list(self._session.get_providers())


def flat(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The same arrays by name, the parts of a list as name_0, name_1 ..."""
    found: dict[str, np.ndarray] = {}
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            found[name] = value
        else:
            found |= {f"{name}_{number}": part for number, part in enumerate(value)}
    return found
