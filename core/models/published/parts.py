"""What a published file's objects are to a model: networks with their tensors, and settings.

Networks are modules of PyTorch as pickles have them, bare or wrapped with the source that they were
made from, which nobody looks at. Settings are dictionaries, omegaconf's nodes and numpy's scalars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import short
from .objects import Record
from .tensors import Storage, Tensor, as_torch
from .tokens import Damaged

if TYPE_CHECKING:
    import torch

MOST_PARTS = 200_000  # networks and tensors in them
MOST_NAME = 1024  # letters of a tensor's name
SHARED = 2  # a storage's numbers may be in so many tensors, on average
_WRAPPED = "_reconstruct_persistent_obj"  # of a module named ...persistence
_SCALARS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_NODES = 8  # of settings around a value


@dataclass(frozen=True)
class Published:
    """What a system takes out of a file: its configuration, the tensors under its own names, what
    else its card tells, and the names of the networks that it lacks: what is not needed for clips
    is drawn."""

    config: Any
    tensors: dict[str, Tensor]
    told: dict[str, Any] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()

    def state(self) -> dict[str, torch.Tensor]:
        """The numbers, copied. Damaged where the file does not hold them, or tensors share them to
        fill more memory than it has bytes."""
        storages: set[Storage] = {tensor.storage for tensor in self.tensors.values()}
        held = sum(storage.bytes for storage in storages)
        if sum(tensor.bytes for tensor in self.tensors.values()) > SHARED * held:
            raise Damaged("its tensors are the same numbers again and again")
        return {name: as_torch(tensor) for name, tensor in self.tensors.items()}


def attributes(network: Any) -> Mapping[str, Any]:
    """Of a network, by name; none of what is no network."""
    wrapped = _wrapped(network)
    state = wrapped.get("state") if wrapped else getattr(network, "state", None)
    return state if isinstance(network, Record) and isinstance(state, dict) else {}


def kind_of(value: Any) -> str:
    """The name of a value's class, for a sentence."""
    if not isinstance(value, Record):
        return type(value).__name__
    name = _wrapped(value).get("class_name")
    return short(name if isinstance(name, str) else str(value.kind))


def _wrapped(network: Any) -> Mapping[Any, Any]:
    """What is told of a module that is wrapped with its source."""
    if not (isinstance(network, Record) and network.kind.name == _WRAPPED
            and network.kind.module.endswith("persistence") and network.args):  # fmt: skip
        return {}
    return network.args[0] if isinstance(network.args[0], dict) else {}


def tensors_of(network: Any) -> dict[str, Tensor]:
    """Parameters and buffers of a network and all in it, by their names with dots. Damaged where
    it lies within itself or has too many."""
    found: dict[str, Tensor] = {}
    waiting, left = [("", network)], MOST_PARTS
    while waiting:
        before, part = waiting.pop()
        groups = [_group(part, kind) for kind in ("_parameters", "_buffers", "_modules")]
        left -= 1 + sum(map(len, groups))
        if left < 0 or len(before) > MOST_NAME:
            raise Damaged("it has too many networks within each other")
        for name, value in (*groups[0].items(), *groups[1].items()):
            if value is not None:
                found[f"{before}{name}"] = _tensor(value, name)
        waiting += [(f"{before}{name}.", inner) for name, inner in groups[2].items()]
    return found


def _group(network: Any, kind: str) -> dict[Any, Any]:
    told = attributes(network).get(kind)
    return told if isinstance(told, dict) else {}


def _tensor(value: Any, name: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise Damaged(f"its {short(str(name))} is no tensor")
    return value


def setting(told: Any, *path: str) -> Any:
    """A value in settings within settings, as Python has it; None where there is none."""
    value = _unwrapped(told)
    for name in path:
        value = _unwrapped(value.get(name)) if isinstance(value, dict) else None
    return value


def _unwrapped(value: Any) -> Any:
    for _ in range(_NODES):
        if not isinstance(value, Record):
            return value
        value = _inside(value)
    return None


def _inside(record: Record) -> Any:
    state = record.state if isinstance(record.state, dict) else {}
    if record.kind.module == "omegaconf.nodes":
        return state.get("_val")
    if record.kind.module in ("omegaconf.dictconfig", "omegaconf.listconfig"):
        return state.get("_content")
    if record.kind.name == "scalar":
        return _number(record)
    return record.items or None


def _number(record: Record) -> Any:
    """A scalar of numpy's, of its type and its bytes. None where that is no plain number."""
    kind, data = record.args if len(record.args) == 2 else (None, None)
    if not (isinstance(kind, Record) and kind.args and isinstance(data, memoryview)):
        return None
    swapped = not isinstance(kind.state, tuple) or kind.state[1:2] == (">",)
    if kind.args[0] not in _SCALARS or swapped:
        return None
    dtype = np.dtype(kind.args[0])
    return np.frombuffer(data, dtype)[0].item() if len(data) == dtype.itemsize else None
