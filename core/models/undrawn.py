"""Networks without weights, for weights that are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWING = {
    *(f for name, f in vars(nn.init).items() if name.endswith("_") and not name.startswith("_")),
    Tensor.normal_,
    Tensor.uniform_,
}
_EMPTY: dict[Any, Any] = {torch.randn: torch.empty, torch.rand: torch.empty}


class _Undrawn(TorchFunctionMode):
    """What draws a tensor leaves it as it is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func in _DRAWING:
            return given["tensor"] if "tensor" in given else args[0]
        return _EMPTY.get(func, func)(*args, **given)


@contextmanager
def undrawn() -> Iterator[None]:
    """Inside, modules are made with room for their weights and none in it.

    Not on the meta device: there many an operation goes by way of PyTorch's compiler, whose
    import takes longer than all the rest, and what no file holds would be missing.
    """
    with _Undrawn():
        yield


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
