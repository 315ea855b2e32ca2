"""Tensors as a file describes them: a part of a storage, whose bytes lie in the file."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from .objects import Name
from .tokens import Damaged

if TYPE_CHECKING:
    import torch

MOST_DIMENSIONS = 32
MOST_KEY = 64  # letters of a storage's name
MOST_NUMBERS = 1 << 48  # of a storage
_MODULES = ("torch", "torch.storage", "torch.cuda")
BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
    "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
# The classes of torch's storages, and the type of their numbers.
STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


@dataclass(eq=False)
class Storage:
    """Numbers in a row. data: their bytes, once they have been met."""

    kind: str  # of BYTES
    count: int
    data: memoryview | None = None

    def __post_init__(self) -> None:
        if not _is_size(self.count):
            raise Damaged("a storage's length is no number")

    @property
    def bytes(self) -> int:
        return self.count * BYTES[self.kind]


@dataclass(eq=False)
class Tensor:
    """Numbers of a storage, from `offset` on, `strides` apart. Damaged where they lie outside of it
    or are more than it has."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.storage, Storage):
            raise Damaged("a tensor's storage is none")
        sized = all(map(_are_sizes, (self.shape, self.strides)))
        if not (sized and _is_size(self.offset) and len(self.shape) == len(self.strides)):
            raise Damaged("a tensor's shape is none")
        if self.count > self.storage.count or self.offset + self.extent > self.storage.count:
            raise Damaged(f"a tensor of {list(self.shape)} is to lie in a storage of "
                          f"{self.storage.count:,} numbers")  # fmt: skip

    @property
    def kind(self) -> str:
        """The type of its numbers, as torch and numpy call it."""
        return self.storage.kind

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Of its numbers, and of those between them."""
        return max(self.count, self.extent) * BYTES[self.kind]

    @property
    def extent(self) -> int:
        """Numbers of the storage from its first to its last one."""
        if not self.count:
            return 0
        last = (stride * (size - 1) for size, stride in zip(self.shape, self.strides, strict=True))
        return 1 + sum(last)


def as_torch(tensor: Tensor) -> torch.Tensor:
    """A copy of its numbers. Damaged where the file does not hold them."""
    import torch

    data, width = tensor.storage.data, BYTES[tensor.kind]
    if data is None:
        raise Damaged("a tensor's numbers are not there")
    dtype = getattr(torch, tensor.kind)
    if not tensor.count:
        return torch.empty(tensor.shape, dtype=dtype)
    held = bytearray(data[tensor.offset * width : (tensor.offset + tensor.extent) * width])
    flat = torch.frombuffer(held, dtype=dtype)
    return flat.as_strided(tensor.shape, tensor.strides).contiguous()


def storage_of(told: Any) -> tuple[str, Storage]:
    """What torch writes for a storage that lies outside the pickle, ("storage", its class, its
    key, the device, how many numbers[, a view of it]) -> its key, and the storage without its
    bytes. Damaged for anything else."""
    if not (isinstance(told, tuple) and len(told) in (5, 6) and told[0] == "storage"):
        raise Damaged("it names something that lies outside of it and is no storage")
    _, kind, key, _, count = told[:5]
    known = isinstance(kind, Name) and kind.module in _MODULES and kind.name in STORAGES
    if not known:
        raise Damaged("it has numbers of a type that is not known here")
    if not (isinstance(key, str) and len(key) <= MOST_KEY and told[5:] in ((), (None,))):
        raise Damaged("it has a storage without a name, or a view of one")
    return key, Storage(STORAGES[kind.name], count)


def _are_sizes(values: Any) -> bool:
    few = isinstance(values, tuple) and len(values) <= MOST_DIMENSIONS
    return few and all(map(_is_size, values))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_NUMBERS
