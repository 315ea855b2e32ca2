"""Networks without weights, for weights that are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

_DRAWING = [n for n in vars(nn.init) if n.endswith("_") and not n.startswith("_")]
_ONE_AT_A_TIME = Lock()


def _left(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    """Initialises nothing."""
    return tensor


@contextmanager
def undrawn() -> Iterator[None]:
    """Inside, modules are made with room for their weights, and torch.nn.init leaves it as it is.

    Not on the meta device: there many an operation goes by way of PyTorch's compiler, whose
    import takes longer than all the rest, and what no file holds would be missing.
    """
    with _ONE_AT_A_TIME:
        kept = {name: getattr(nn.init, name) for name in _DRAWING}
        try:
            for name in kept:
                setattr(nn.init, name, _left)
            yield
        finally:
            for name, function in kept.items():
                setattr(nn.init, name, function)


@torch.no_grad()
def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Lay a file's tensors into an undrawn model, in the types that it computes in and in its own
    order in memory. RuntimeError where the two do not fit."""
    own = model.state_dict()
    if odd := sorted(own.keys() ^ tensors.keys()):
        raise RuntimeError(f"other tensors: {', '.join(odd)}")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise RuntimeError(f"{name} is {list(tensor.shape)}, not {list(own[name].shape)}")
        own[name].copy_(tensor)
