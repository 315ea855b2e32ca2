"""The table of operators: what TensorRT's parser reads, measured, as operators.json keeps it."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

ONNX = ("", "ai.onnx")


@cache
def table() -> dict[str, Any]:
    """measured_with: whose parser. opsets: first and last that it is known to read. types: of
    tensors. plugins, supported: names. unsupported: {name: what to do instead}. refuses: {type:
    operators whose first input must not be of it}."""
    return json.loads(files("dln.export").joinpath("operators.json").read_text("utf-8"))


@cache
def released() -> frozenset[str]:
    """The names of all operators that any release of ONNX up to the installed one has had."""
    from onnx.defs import get_all_schemas_with_history

    return frozenset(s.name for s in get_all_schemas_with_history() if s.domain in ONNX)


def type_name(number: int) -> str | None:
    """ "FLOAT" for a number of TensorProto.DataType; None for none of them."""
    from onnx import TensorProto

    try:
        return TensorProto.DataType.Name(number)
    except ValueError:
        return None
