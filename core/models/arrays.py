"""What passes between a sampling loop, whose arrays are numpy's, and the engine of its graphs.

What an engine makes stays as it is (torch's tensors, wherever they lie, or numpy's arrays) until
the loop reads it. So a loop needs no PyTorch where its engine needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .engine import Engine

Array = Any  # of numpy, or of the engine


def run(engine: Engine, graph: str, **inputs: Any) -> dict[str, Any]:
    """engine.run for a loop: its own arrays, alone or in a sequence, are handed over in the kind
    that the engine takes; outputs are the engine's."""
    if not getattr(engine, "of_numpy", False):
        inputs = tensors(inputs)
    return engine.run(graph, **inputs)


def tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    """Arrays as torch's tensors, which share their memory where they can."""
    return {name: _tensors(value) for name, value in inputs.items()}


def _tensors(value: Any) -> Any:
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    return value if isinstance(value, torch.Tensor) else [_tensors(part) for part in value]


def on_host(made: Array) -> np.ndarray:
    """An engine's array as one of numpy, numbers with a fraction in float32."""
    if not isinstance(made, np.ndarray):
        made = (made.float() if made.is_floating_point() else made).cpu().numpy()
    return made.astype(np.float32, copy=False) if made.dtype.kind == "f" else made


def zeros(like: Array, *shape: int) -> Array:
    """Of the same kind and type, in the same place."""
    return np.zeros(shape, like.dtype) if isinstance(like, np.ndarray) else like.new_zeros(shape)
