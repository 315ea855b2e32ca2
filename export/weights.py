"""The weights of an ONNX model, in its file or in others beside it: whether they are there, whole
and of types that TensorRT reads."""

import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from .operators import type_name

MOST_READ = 1 << 20  # elements: what decides how a node is read are a few numbers
# Bits of an element of raw data.
_BITS = {
    **dict.fromkeys(("INT2", "UINT2"), 2),
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("FLOAT6E2M3", "FLOAT6E3M2"), 6),
    **dict.fromkeys(("INT8", "UINT8", "BOOL"), 8),
    **dict.fromkeys(
        ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"), 8
    ),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT"), 32),
    **dict.fromkeys(("INT64", "UINT64", "DOUBLE", "COMPLEX64"), 64),
    "COMPLEX128": 128,
}
_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def read_array(tensor: Any, folder: Path) -> Any:
    """An onnx TensorProto as a numpy array, or None where it is large, broken or not there."""
    from onnx.numpy_helper import to_array

    if prod(tensor.dims) > MOST_READ or damage(tensor, folder):
        return None
    try:
        return to_array(tensor, str(folder))
    except Exception:  # what a stranger's tensor holds fails in ways of no common kind
        return None


def tensors(graph: Any) -> Iterator[Any]:
    """The TensorProtos of a graph: its initializers, and those of nodes and subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from tensors(inner)


def damage(tensor: Any, folder: Path) -> str | None:
    """What is wrong with a tensor's data, in words that follow its name; None where it is whole."""
    from onnx import TensorProto

    if any(size < 0 for size in tensor.dims):
        return "have a negative size"
    bits = _BITS.get(type_name(tensor.data_type) or "")
    needed = None if bits is None else (prod(tensor.dims) * bits + 7) // 8
    if tensor.data_location == TensorProto.EXTERNAL:
        return _damage_outside(tensor, folder, needed)
    if tensor.HasField("raw_data"):
        there = len(tensor.raw_data)
        return f"need {needed} bytes and have {there}" if needed not in (None, there) else None
    if prod(tensor.dims) and not any(len(getattr(tensor, field)) for field in _FIELDS):
        return "have no data"
    return None


def _damage_outside(tensor: Any, folder: Path, needed: int | None) -> str | None:
    """The same for data in a file of its own, which must lie in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or 0)
    except ValueError:
        return "have a place in their file that is no number"
    base = os.path.abspath(folder)  # links are followed: caches of downloads consist of them
    place = os.path.normpath(os.path.join(base, location)) if "\0" not in location else base
    if not location or place == base or os.path.commonpath([base, place]) != base:
        return f"lie at {location!r}, outside the model's folder"
    try:
        found = os.stat(place)
    except OSError as error:
        return f"lie in {location!r}, which cannot be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return f"lie in {location!r}, which is no file"
    if min(offset, length) < 0 or offset + (length or needed or 0) > found.st_size:
        return f"lie beyond the end of {location!r}"
    if length and needed is not None and length != needed:
        return f"need {needed} bytes and have {length}"
    return None
