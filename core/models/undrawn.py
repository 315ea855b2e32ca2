"""Networks without weights, for weights that are there."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

_DRAWING = [n for n in vars(nn.init) if n.endswith("_") and not n.startswith("_")]
_ONE_AT_A_TIME = Lock()
# What follows from a model's sizes, or was not published, and lies in no file: so many numbers
# beside twice the file's, tensors beside three times.
CONSTANTS, SPARE = 1 << 22, 64
_LAYERS_A_TENSOR = 16  # that have no weights of their own: containers, activations


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


class TooLarge(RuntimeError):
    """A network asks for more tensors, numbers or layers than it may have."""


@contextmanager
def at_most(tensors: int, numbers: int) -> Iterator[None]:
    """Inside, a network with more tensors, or more numbers in them, is TooLarge as soon as it asks
    for them, whatever sizes it was told: before the next one is drawn or filled. What is on the
    meta device has no numbers."""
    left = {"tensors": tensors, "numbers": numbers, "layers": _LAYERS_A_TENSOR * tensors}

    def take(what: str, count: int) -> None:
        left[what] -= count
        if left[what] < 0:
            raise TooLarge(f"a network of these sizes has too many {what}")

    def tensor(module: nn.Module, name: str, value: Tensor | None) -> None:
        if value is not None:
            take("tensors", 1)
            take("numbers", 0 if value.is_meta else value.numel())

    def layer(module: nn.Module, name: str, value: nn.Module | None) -> None:
        take("layers", 1)

    handles = [
        register_module_parameter_registration_hook(tensor),
        register_module_buffer_registration_hook(tensor),
        register_module_module_registration_hook(layer),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def room_for(tensors: int, numbers: int) -> AbstractContextManager[None]:
    """`at_most` what a network may have whose file holds so many."""
    return at_most(3 * tensors + SPARE, 2 * numbers + CONSTANTS)


@torch.no_grad()
def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Lay a file's tensors into an undrawn model, in the types that it computes in and in its own
    order in memory. RuntimeError where the two do not fit."""
    own = model.state_dict()
    if odd := sorted(own.keys() ^ tensors.keys()):
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise RuntimeError(f"other tensors: {', '.join(odd[:3])}{more}")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise RuntimeError(f"{name} is {list(tensor.shape)}, not {list(own[name].shape)}")
        own[name].copy_(tensor)
