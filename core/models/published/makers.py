"""The only classes and functions of a pickle that become what they are: containers and tensors.

Each is made here, from its arguments; what the file names is never called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .objects import Name, Record
from .tensors import Tensor
from .tokens import Budget, Damaged

Key = Callable[[Any], Any]
Maker = Callable[[Budget, Key, "tuple[Any, ...]"], Any]


def _only(args: tuple[Any, ...], least: int, most: int | None = None) -> None:
    if not least <= len(args) <= (least if most is None else most):
        raise Damaged(f"it makes a container or tensor with {len(args)} arguments")


def _values(budget: Budget, args: tuple[Any, ...]) -> list[Any]:
    _only(args, 0, 1)
    held = args[0] if args else []
    if not isinstance(held, list | tuple | set | frozenset):
        raise Damaged("it makes a container of what is none")
    budget.spend(8 * len(held))
    return list(held)


def _dict(budget: Budget, key: Key, args: tuple[Any, ...]) -> dict[Any, Any]:
    if len(args) == 1 and isinstance(args[0], dict):
        budget.spend(16 * len(args[0]))
        return dict(args[0])
    pairs = _values(budget, args)
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise Damaged("it makes a dictionary of what are no pairs")
    return {key(pair[0]): pair[1] for pair in pairs}


def _default_dict(budget: Budget, key: Key, args: tuple[Any, ...]) -> dict[Any, Any]:
    return _dict(budget, key, args[1:])


def _list(budget: Budget, key: Key, args: tuple[Any, ...]) -> list[Any]:
    return _values(budget, args)


def _tuple(budget: Budget, key: Key, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_values(budget, args))


def _set(budget: Budget, key: Key, args: tuple[Any, ...]) -> set[Any]:
    return set(map(key, _values(budget, args)))


def _encoded(budget: Budget, key: Key, args: tuple[Any, ...]) -> memoryview:
    """Bytes as pickles of protocol 2 hold them: text of as many letters, and "latin1"; nothing at
    all for no bytes."""
    text = args[0] if args else ""
    if isinstance(text, memoryview):
        return text
    if not isinstance(text, str) or args[1:] not in ((), ("latin1",), ("latin-1",)):
        raise Damaged("it makes bytes of what are none")
    budget.spend(len(text))
    try:
        return memoryview(text.encode("latin-1"))
    except UnicodeError:
        raise Damaged("it makes bytes of letters that are none") from None


def _tensor(budget: Budget, key: Key, args: tuple[Any, ...]) -> Tensor:
    """storage, offset, shape, strides, and what only a training needs."""
    if len(args) < 4:
        raise Damaged("it makes a tensor without a shape")
    return Tensor(*args[:4])


def _parameter(budget: Budget, key: Key, args: tuple[Any, ...]) -> Any:
    """The tensor that it holds, whether it learns, hooks."""
    _only(args, 3)
    return args[0]


def _instance(budget: Budget, key: Key, args: tuple[Any, ...]) -> Record:
    """An object as protocols 0 and 1 write it: its class, the container that it derives from, and
    what that holds."""
    _only(args, 3)
    kind, _, held = args
    if not isinstance(kind, Name):
        raise Damaged("it calls what is no class")
    return Record(kind, items=held if isinstance(held, dict) else {})


MAKERS: dict[tuple[str, str], Maker] = {
    ("collections", "OrderedDict"): _dict,
    ("collections", "defaultdict"): _default_dict,
    ("torch", "Size"): _tuple,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("_codecs", "encode"): _encoded,
}
for _module in ("builtins", "__builtin__"):
    MAKERS |= {
        (_module, "dict"): _dict,
        (_module, "list"): _list,
        (_module, "tuple"): _tuple,
        (_module, "set"): _set,
        (_module, "frozenset"): _set,
        (_module, "bytes"): _encoded,
        (_module, "bytearray"): _encoded,
    }
for _module in ("copyreg", "copy_reg"):
    MAKERS[_module, "_reconstructor"] = _instance
