"""What ONNX's own checker has against a model, and whether TensorRT minds it too."""

import re
import textwrap
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from .operators import ONNX, released

# What the checker refuses and TensorRT's parser reads past.
_READ_ANYWAY = re.compile(
    r"No Op registered|is deprecated in domain_version|Unrecognized attribute|No opset import"
)
_STRANGE = "unknown"  # a domain, whose operators the checker passes over


def checked(model: Any) -> tuple[Literal["error", "warning"], str] | None:
    """The checker's first complaint of an onnx ModelProto, None for a valid one. Weights are not
    looked at. A warning is what concerns the form alone, or what TensorRT reads all the same."""
    plain = _without_weights(model)
    try:
        said = _said(_mended(plain))
    except CycleError:
        return "error", "nodes of the graph take what is computed from their own outputs"
    if said is not None and not _READ_ANYWAY.search(said):
        return "error", said
    said = _said(plain)
    # Operators that are in no release have findings of their own.
    if said is None or (said.startswith("No Op registered for") and _strange(plain)):
        return None
    return "warning", said


def misfit(model: Any) -> tuple[Literal["error", "warning"], str, str, str] | None:
    """(severity, operator, node, reason) of the first node whose tensors' types or shapes do not
    fit together, None where all do. A warning where only what the file says of them is wrong."""
    from onnx import shape_inference

    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except shape_inference.InferenceError as error:
        found = re.findall(r"\(op_type:([^,)]*)(?:, node name: ([^)]*))?\)", str(error))
        if len(found) != 1:  # inside what ONNX itself puts in place of an operator
            return None
        (operator, node), reason = (
            found[0],
            str(error).rpartition("]" if "]" in str(error) else ":")[2],
        )
        reason = re.sub(r"^ ?\(op_type:[^)]*\): ", "", reason)
        severity = "warning" if "existing" in reason else "error"
        return severity, operator, node, textwrap.shorten(reason, 200, placeholder=" ...")
    except Exception:  # a model that the checker refuses
        return None
    return None


def _said(model: Any) -> str | None:
    from onnx import checker

    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError) as error:  # the latter of what it cannot parse
        return textwrap.shorten(str(error), 300, placeholder=" ...")
    return None


def _without_weights(model: Any) -> Any:
    """The model with inputs in place of its weights, which may have gigabytes."""
    from onnx import ModelProto

    plain = ModelProto(ir_version=model.ir_version)
    plain.opset_import.extend(model.opset_import)
    plain.functions.extend(model.functions)
    graph, own = plain.graph, model.graph
    graph.name = own.name
    graph.node.extend(own.node)
    graph.input.extend(own.input)
    graph.output.extend(own.output)
    graph.value_info.extend(own.value_info)
    there = {value.name for value in own.input}
    weights = [(w.name, w.data_type, w.dims) for w in own.initializer]
    weights += [(w.values.name, w.values.data_type, w.dims) for w in own.sparse_initializer]
    for name, kind, dims in weights:
        if name in there or not name:
            continue
        tensor = graph.input.add(name=name).type.tensor_type
        tensor.elem_type = kind
        tensor.shape.SetInParent()
        for size in dims:
            tensor.shape.dim.add(dim_value=size)
    return plain


def _mended(model: Any) -> Any:
    """A copy without what does not stop TensorRT: missing names and shapes, nodes out of order,
    operators of nobody, a newer format. CycleError where no order of its nodes will do."""
    from onnx import IR_VERSION, ModelProto

    mended = ModelProto()
    mended.CopyFrom(model)
    mended.ir_version = min(max(model.ir_version, 3), IR_VERSION)
    for graph in _graphs(mended.graph):
        graph.name = graph.name or "graph"
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.shape.SetInParent()
        _sort(graph)
    _rename(mended)
    return mended


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for inner in _inner(node):
            yield from _graphs(inner)


def _inner(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _taken(node: Any) -> Iterator[str]:
    """What a node and its subgraphs take by name."""
    yield from filter(None, node.input)
    for graph in _inner(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from _taken(inner)


def _sort(graph: Any) -> None:
    makers = {name: n for n, node in enumerate(graph.node) for name in node.output if name}
    needs = {n: {makers[name] for name in _taken(node) if name in makers}
             for n, node in enumerate(graph.node)}  # fmt: skip
    if all(n > max(before, default=-1) for n, before in needs.items()):
        return
    order = [graph.node[n] for n in TopologicalSorter(needs).static_order()]
    copies = [type(node).FromString(node.SerializeToString()) for node in order]
    del graph.node[:]
    graph.node.extend(copies)


def _strange(model: Any) -> list[Any]:
    """Nodes whose operators are in no release of ONNX."""
    nodes = [node for graph in _graphs(model.graph) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    return [node for node in nodes if node.domain in ONNX and node.op_type not in released()]


def _rename(model: Any) -> None:
    if not (strange := _strange(model)):
        return
    for node in strange:
        node.domain = _STRANGE
    for part in (model, *model.functions):
        part.opset_import.add(domain=_STRANGE, version=1)
