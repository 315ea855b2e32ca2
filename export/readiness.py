"""Will TensorRT take these graphs? Three levels, each of them without a GPU.

Level 1 holds each node against a table of operators and needs no NVIDIA package; level 2 asks
TensorRT-RTX's own parser; level 3 builds an engine and throws it away.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from dln.core.errors import UsageError

from .builder import Backend, BuildError, Fault
from .restrictions import RULES, Site
from .tensorrt import BuildRequest, Profile, build, parse

Severity = Literal["error", "warning"]

_ONNX = ("", "ai.onnx")
_FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN")
_TYPES = (*_FLOATS, "INT8", "UINT8", "INT32", "INT64", "BOOL")
_FREEZES = "export with an example size above 1 there: sizes 0 and 1 become constants"

_HINTS = {
    "parse": "change the part of the model that this comes from",
    "range": "export it again from a graph whose sizes name all that varies",
    "build": "change the part of the model that this comes from, level 1 may say to what",
}


@dataclass(frozen=True)
class Finding:
    """One thing that stands between a graph and its engine.

    graph: the file's stem, and the path to a subgraph or function inside it; node and operator are
    empty for what concerns the graph as a whole.
    """

    level: int
    severity: Severity
    graph: str
    node: str
    operator: str
    message: str
    hint: str


def check(
    path: Path,
    level: int,
    profiles: Mapping[str, Profile] | None = None,
    *,
    backend: Backend = "tensorrt_rtx",
    timeout_s: float = 600.0,
) -> list[Finding]:
    """All findings up to a level, 1 to 3. `profiles`, by file stem, say what must vary.

    Raises UsageError for a file that is no ONNX graph, MissingCapability where levels 2 and 3 find
    no TensorRT.
    """
    profile = (profiles or {}).get(path.stem, Profile())
    found = check_table(path, profile.axes())
    parsed = check_parser(path, backend=backend, timeout_s=timeout_s) if level >= 2 else []
    if level >= 3 and not parsed:
        return found + _check_build(path, profile, backend, timeout_s)
    return found + parsed


def check_table(path: Path, dynamic: Mapping[str, Iterable[int]] | None = None) -> list[Finding]:
    """Level 1: every node, also those of subgraphs and local functions, against the table.

    dynamic: {input: dimensions that must vary}. Raises UsageError for a file that is no ONNX.
    """
    model = _read(path)
    found = [*_check_opsets(model, path.stem), *_check_inputs(model, path.stem, dynamic or {})]
    own = {(f.domain, f.name) for f in model.functions}
    for graph, site in _sites(model, path):
        found += _check_node(graph, site, own)
    return found


def check_parser(
    path: Path, *, backend: Backend = "tensorrt_rtx", timeout_s: float = 600.0
) -> list[Finding]:
    """Level 2: what the backend's own parser says. Raises MissingCapability without it."""
    try:
        faults = parse(path, backend, timeout_s)
    except BuildError as error:
        return [_whole(2, path.stem, "error", error.message, "export it again and compare")]
    return [_from_fault(2, path.stem, fault) for fault in faults]


def _check_build(path: Path, profile: Profile, backend: Backend, timeout_s: float) -> list[Finding]:
    """Level 3: a real build, thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Path(folder) / f"{path.stem}.engine"
        try:
            build(BuildRequest(path, engine, profile, backend, timeout_s=timeout_s))
        except BuildError as error:
            if error.faults:
                return [_from_fault(3, path.stem, fault) for fault in error.faults]
            hint = "dln export --trt keeps the builder's log"
            return [_whole(3, path.stem, "error", error.message, hint)]
    return []


def _from_fault(level: int, stem: str, fault: Fault) -> Finding:
    hint = _table()["unsupported"].get(fault.operator) or _HINTS.get(fault.stage, _HINTS["build"])
    graph = f"{stem}/{fault.graph}" if fault.graph else stem
    return Finding(level, "error", graph, fault.node, fault.operator, fault.message, hint)


@cache
def _table() -> dict[str, Any]:
    return json.loads(files("dln.export").joinpath("operators.json").read_text("utf-8"))


def _whole(level: int, graph: str, severity: Severity, message: str, hint: str) -> Finding:
    return Finding(level, severity, graph, "", "", message, hint)


def _read(path: Path) -> Any:
    """The model with the types of its tensors, without the weights beside it."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}", hint="dln export --onnx") from error
    except Exception as error:  # protobuf has its own, of no common kind
        raise _no_onnx(path) from error
    if not model.opset_import:  # what protobuf makes of an empty file
        raise _no_onnx(path)
    try:
        return onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError:
        return model


def _no_onnx(path: Path) -> UsageError:
    return UsageError(f"{path} is no ONNX file", hint="dln export --onnx")


def _check_opsets(model: Any, stem: str) -> Iterator[Finding]:
    first, last = _table()["opsets"]
    for opset in model.opset_import:
        if opset.domain in _ONNX and not first <= opset.version <= last:
            # Parsers read older operators as they were, but promise nothing for newer ones.
            severity = "error" if opset.version > last else "warning"
            message = f"opset {opset.version} is outside {first} to {last}"
            yield _whole(1, stem, severity, message, f"export with opset {first}")


def _check_inputs(model: Any, stem: str, dynamic: Mapping[str, Iterable[int]]) -> Iterator[Finding]:
    from onnx import TensorProto

    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {i.name: i.type.tensor_type for i in model.graph.input if i.name not in constants}
    wide = []
    for name, found in inputs.items():
        kind = TensorProto.DataType.Name(found.elem_type)
        if kind not in _TYPES:
            severity = "warning" if kind == "DOUBLE" else "error"
            message = f"input {name!r} is {kind}, which TensorRT does not compute with"
            yield _whole(1, stem, severity, message, "pass float32, int32 or int64 in")
        if kind == "INT64":
            wide.append(name)
    if wide:
        message = f"int64 inputs must be given as int64, not int32: {', '.join(wide)}"
        yield _whole(1, stem, "warning", message, "dln does; heed it in a program of your own")
    for name, dimensions in dynamic.items():
        yield from _check_varies(stem, name, inputs.get(name), dimensions)


def _check_varies(stem: str, name: str, found: Any, dimensions: Iterable[int]) -> Iterator[Finding]:
    if found is None:
        message = f"there is no input {name!r}: the graph does not use it"
        yield _whole(1, stem, "error", message, "leave it out of the graph's example, or use it")
        return
    shape = found.shape.dim
    for d in dimensions:
        if d >= len(shape):
            message = f"input {name!r} has {len(shape)} dimensions, not {d + 1}"
            yield _whole(1, stem, "error", message, "export again")
        elif shape[d].HasField("dim_value"):
            message = f"dimension {d} of input {name!r} is fixed at {shape[d].dim_value}"
            yield _whole(1, stem, "error", message, _FREEZES)


def _check_node(graph: str, site: Site, own: set[tuple[str, str]]) -> Iterator[Finding]:
    node, table = site.node, _table()

    def finding(severity: Severity, message: str, hint: str) -> Finding:
        return Finding(1, severity, graph, node.name, node.op_type, message, hint)

    if (node.domain, node.op_type) in own or node.op_type in table["plugins"]:
        return
    if node.domain not in _ONNX:
        message = f"{node.op_type} of {node.domain} is no operator of ONNX"
        yield finding("error", message, "write it with operators of ONNX")
    elif node.op_type in table["unsupported"]:
        message = f"TensorRT does not support {node.op_type}"
        yield finding("error", message, table["unsupported"][node.op_type])
    elif node.op_type not in table["supported"]:
        message = f"{node.op_type} is newer than the table of operators"
        yield finding("warning", message, "level 2 asks the parser")
    else:
        complaints = (rule(site) for rule in RULES.get(node.op_type, ()))
        yield from (finding(*complaint) for complaint in complaints if complaint)


def _sites(model: Any, path: Path) -> Iterator[tuple[str, Site]]:
    yield from _graph_sites(path.stem, model.graph, {}, {}, path.parent)
    for function in model.functions:
        name = f"{path.stem}/{function.domain}::{function.name}"
        types = {v.name: v.type.tensor_type for v in function.value_info}
        yield from _node_sites(name, function.node, types, {}, path.parent)


def _graph_sites(
    name: str, graph: Any, types: dict[str, Any], constants: dict[str, Any], folder: Path
) -> Iterator[tuple[str, Site]]:
    """The nodes of a graph, which also sees the tensors of the graph around it."""
    from onnx import TypeProto

    types, constants = dict(types), dict(constants)
    for tensor in graph.initializer:
        constants[tensor.name] = tensor
        types[tensor.name] = TypeProto.Tensor(elem_type=tensor.data_type)
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type"):
            types[value.name] = value.type.tensor_type
    yield from _node_sites(name, graph.node, types, constants, folder)


def _node_sites(
    name: str, nodes: Any, types: dict[str, Any], constants: dict[str, Any], folder: Path
) -> Iterator[tuple[str, Site]]:
    for node in nodes:
        site = Site(node, types, constants, folder)
        if node.op_type == "Constant" and (value := site.attribute("value")) is not None:
            constants[node.output[0]] = value
        yield name, site
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                inner = f"{name}/{node.name or node.op_type}.{attribute.name}"
                yield from _graph_sites(inner, graph, types, constants, folder)
