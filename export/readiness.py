"""Will TensorRT take these graphs? Three levels, each of them without a GPU.

Level 1 holds each node against a table of operators and needs no NVIDIA package; level 2 asks
TensorRT-RTX's own parser; level 3 builds an engine and throws it away.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dln.core.door import read_bytes
from dln.core.errors import UsageError

from .builder import Backend, BuildError, Fault
from .checker import checked, misfit
from .operators import ONNX, released, table, type_name
from .ranges import Sizes, inputs_of, profile_of_inputs
from .restrictions import complaints
from .sites import Site, sites
from .tensorrt import BuildRequest, Profile, build, parse
from .weights import damage, tensors

Severity = Literal["error", "warning"]

MOST_BYTES = 2**31 - 1  # of a protobuf message
_READ = "TensorRT reads it all the same"
_USUAL_OPSET = 20  # which dln writes
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
    ranges: Mapping[str, Sizes] | None = None,
    *,
    backend: Backend = "tensorrt_rtx",
    timeout_s: float = 600.0,
) -> list[Finding]:
    """All findings up to a level, 1 to 3.

    profiles: by file stem, what must vary and over what. ranges: of level 3, by a dimension's
    name, an input's or its place in one ("x:0"), before those of the profile. What neither tells
    is assumed, and a finding says so.

    Raises UsageError for a file that is no ONNX graph, MissingCapability where levels 2 and 3 find
    no TensorRT.
    """
    profile = (profiles or {}).get(path.stem, Profile())
    model = read_model(path)
    found = _check_model(model, path, profile.axes())
    parsed = check_parser(path, backend=backend, timeout_s=timeout_s) if level >= 2 else []
    if level < 3 or parsed:
        return found + parsed
    profile, assumed = profile_of_inputs(inputs_of(model), ranges or {}, profile)
    return [
        *found,
        *_assumption(path.stem, assumed),
        *_check_build(path, profile, backend, timeout_s),
    ]


def check_table(path: Path, dynamic: Mapping[str, Iterable[int]] | None = None) -> list[Finding]:
    """Level 1: the file, and every node, also those of subgraphs and local functions.

    dynamic: {input: dimensions that must vary}. Raises UsageError for a file that is no ONNX.
    """
    return _check_model(read_model(path), path, dynamic or {})


def _check_model(model: Any, path: Path, dynamic: Mapping[str, Iterable[int]]) -> list[Finding]:
    if not _is_text(model):
        raise UsageError(f"{path} holds names that are no text", "dln export --onnx")
    return list(_findings(model, path, dynamic))


def _is_text(message: Any) -> bool:
    """Whether every string in a protobuf message is UTF-8; protobuf gives the others as bytes."""
    for field, value in message.ListFields():
        one = isinstance(value, str | bytes) or hasattr(value, "ListFields")
        values = (value,) if one else value
        if field.type == field.TYPE_STRING and any(isinstance(each, bytes) for each in values):
            return False
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, values)):
            return False
    return True


def _findings(model: Any, path: Path, dynamic: Mapping[str, Iterable[int]]) -> Iterator[Finding]:
    yield from (
        *_check_opsets(model, path.stem),
        *_check_form(model, path.stem),
        *_check_weights(model, path),
        *_check_inputs(model, path.stem, dynamic),
    )
    own = {(f.domain, f.name) for f in model.functions}
    for graph, site in sites(_inferred(model), path):
        yield from _check_node(graph, site, own)


def _assumption(stem: str, assumed: list[str]) -> Iterator[Finding]:
    if assumed:
        message = f"no range was given, so these sizes were assumed: {', '.join(assumed)}"
        hint = f"--range {assumed[0].split('=')[0]}=SMALLEST,TYPICAL,LARGEST"
        yield _whole(3, stem, "warning", message, hint)


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
    hint = table()["unsupported"].get(fault.operator) or _HINTS.get(fault.stage, _HINTS["build"])
    graph = f"{stem}/{fault.graph}" if fault.graph else stem
    message = " ".join(fault.message.split())
    return Finding(level, "error", graph, fault.node, fault.operator, message, hint)


def _whole(level: int, graph: str, severity: Severity, message: str, hint: str) -> Finding:
    return Finding(level, severity, graph, "", "", message, hint)


def read_model(path: Path) -> Any:
    """The model, an onnx ModelProto, without the weights beside it. UsageError for what is no ONNX
    file."""
    import onnx

    try:
        content = read_bytes(path, MOST_BYTES)
    except UsageError as error:
        raise UsageError(error.message, hint="dln export --onnx") from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf has its own, of no common kind
        raise _no_onnx(path) from error
    if not (model.opset_import and model.graph.output):  # what protobuf makes of other files
        raise _no_onnx(path)
    return model


def _inferred(model: Any) -> Any:
    """The model with the types and shapes of its tensors, as far as they follow."""
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model)
    except Exception:  # of shapes that do not fit, which have findings of their own
        return model


def _no_onnx(path: Path) -> UsageError:
    return UsageError(f"{path} is no ONNX file", hint="dln export --onnx")


def _check_opsets(model: Any, stem: str) -> Iterator[Finding]:
    first, last = table()["opsets"]
    for opset in model.opset_import:
        if opset.domain in ONNX and not first <= opset.version <= last:
            # The parser asks for no opset: it reads all operators as those of these.
            message = f"opset {opset.version} is outside {first} to {last}, as which it is read"
            yield _whole(1, stem, "warning", message, f"export with opset {_USUAL_OPSET}")


def _check_form(model: Any, stem: str) -> Iterator[Finding]:
    """What ONNX itself has against the model: of its form, or else of shapes that do not fit."""
    if said := checked(model):
        severity, message = said
        hint = "export it again" if severity == "error" else _READ
        yield _whole(1, stem, severity, f"ONNX's checker: {message}", hint)
        if "is required" not in message:  # shapes follow only where all else is in order
            return
    if found := misfit(model):
        severity, operator, node, message = found
        hint = "make them fit" if severity == "error" else _READ
        yield Finding(1, severity, stem, node, operator, message, hint)


def _check_weights(model: Any, path: Path) -> Iterator[Finding]:
    """Data that is not there, and forms of it that TensorRT does not read."""
    used = {name for node in model.graph.node for name in node.input}
    for tensor in tensors(model.graph):
        if said := damage(tensor, path.parent):
            message = f"weights {tensor.name!r} {said}"
            yield _whole(1, path.stem, "error", message, "copy the model with all of its files")
    for tensor in model.graph.initializer:
        if (kind := type_name(tensor.data_type)) not in table()["types"]:
            message = f"weights {tensor.name!r} are {kind}, which TensorRT does not compute with"
            yield _whole(1, path.stem, "error", message, "store float32, int32 or int64")
    for sparse in model.graph.sparse_initializer:
        if (name := sparse.values.name) in used:
            message = f"weights {name!r} are sparse, which TensorRT does not read"
            yield _whole(1, path.stem, "error", message, "store them as a dense tensor")


def _check_inputs(model: Any, stem: str, dynamic: Mapping[str, Iterable[int]]) -> Iterator[Finding]:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {i.name: i.type.tensor_type for i in model.graph.input if i.name not in constants}
    wide = []
    for name, found in inputs.items():
        kind = type_name(found.elem_type)
        if kind not in table()["types"] or kind in ("DOUBLE", "UNDEFINED"):
            severity = "warning" if kind == "DOUBLE" else "error"
            said = "no tensor" if kind == "UNDEFINED" else kind
            message = f"input {name!r} is {said}, which TensorRT does not compute with"
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
    node = site.node
    name, unsupported = node.op_type, table()["unsupported"]

    def finding(severity: Severity, message: str, hint: str) -> Finding:
        return Finding(1, severity, graph, node.name, name, message, hint)

    if (node.domain, name) in own or name in table()["plugins"]:
        return
    if node.domain not in ONNX:
        message = f"{name} of {node.domain} is no operator of ONNX"
        yield finding("error", message, "write it with operators of ONNX")
    elif name in unsupported:
        yield finding("error", f"TensorRT does not support {name}", unsupported[name])
    elif name in table()["supported"]:
        yield from (finding(*complaint) for complaint in complaints(site))
    elif name in released():
        message = f"{name} is newer than the table of operators"
        yield finding("warning", message, "level 2 asks the parser")
    else:
        message = f"{name} is an operator of no release of ONNX"
        yield finding("error", message, "write it with operators of ONNX")
