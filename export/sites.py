"""The nodes of an ONNX model where they stand, and what is known there of the tensors they take."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .operators import type_name
from .weights import read_array

# Where a tensor's values come from, from what is known at once to what only a run shows. weights:
# stored in the file. folded: weights that were only cast. computed: from weights alone. sizes: from
# the sizes of inputs that vary. made: by nodes that say nothing. ints, floats: from the values of
# integer or other inputs. data: from those of inputs, by nodes that leave the kind open.
Origin = Literal["weights", "folded", "computed", "sizes", "made", "ints", "data", "floats"]
_ORDER: tuple[Origin, ...] = (
    *("weights", "folded", "computed", "sizes", "made", "ints", "data", "floats"),
)  # fmt: skip
_FOLDED = ("Identity", "Cast")
_SIZES = ("Shape", "Size")
# What these return of floats are places and lengths, or the values of a subgraph.
_OPEN = (
    *("ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "NonZero", "Unique", "If", "Loop", "Scan"),
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """A graph's tensors by name, those of the graphs around it included.

    types: onnx TypeProto.Tensor. constants: onnx TensorProto, whose data may lie in `folder`.
    origins: None for what the caller of a function gives. outputs: names of the graph's own.
    opsets: (domain, version) of all domains.
    """

    types: Mapping[str, Any]
    constants: Mapping[str, Any]
    origins: Mapping[str, Origin | None]
    outputs: frozenset[str]
    folder: Path
    opsets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Site:
    """A node, an onnx NodeProto, and the scope that it stands in."""

    node: Any
    scope: Scope

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value; `default` too where a function's caller gives it."""
        from onnx.helper import get_attribute_value

        for attribute in self.node.attribute:
            if attribute.name == name and not attribute.ref_attr_name:
                try:
                    return get_attribute_value(attribute)
                except ValueError:  # of no type
                    return default
        return default

    def number(self, name: str, default: int) -> int:
        """An attribute that is to be an integer; `default` where it is none."""
        value = self.attribute(name, default)
        return value if isinstance(value, int) else default

    def numbers(self, name: str) -> list[int]:
        """An attribute that is to be a list of integers; [] where it is none."""
        value = self.attribute(name)
        return value if isinstance(value, list) and all(isinstance(v, int) for v in value) else []

    def word(self, name: str, default: str) -> str:
        """An attribute that is to be a text; `default` where it is none."""
        value = self.attribute(name)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else default

    def graph(self, name: str) -> Any:
        """An attribute that is to be a graph, None where it is none."""
        value = self.attribute(name)
        return value if hasattr(value, "initializer") else None

    def given(self, index: int) -> bool:
        """Whether the node has an input at this place."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def outputs(self) -> list[str]:
        """The outputs that anything may use, which have names."""
        return [name for name in self.node.output if name]

    def dtype(self, index: int) -> str | None:
        """ "FLOAT16" for the input at this place, None where it is not known."""
        return type_name(self._type(index).elem_type) if self._type(index) is not None else None

    def shape(self, index: int) -> list[int | None] | None:
        """The input's shape with None for sizes that vary, or None where it is not known."""
        known = self._type(index)
        if known is None or not known.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else None for d in known.shape.dim]

    def constant(self, index: int) -> Any:
        """The input's value as a numpy array, or None where it is not a constant at hand."""
        known = self.scope.constants.get(self.node.input[index]) if self.given(index) else None
        return None if known is None else read_array(known, self.scope.folder)

    def origin(self, index: int) -> Origin | None:
        """Where the input's values come from; None where there is none or its caller gives it."""
        return self.scope.origins.get(self.node.input[index]) if self.given(index) else None

    def _type(self, index: int) -> Any:
        return self.scope.types.get(self.node.input[index]) if self.given(index) else None


class Complaint(NamedTuple):
    """What is wrong with a node, and what to do about it."""

    severity: Literal["error", "warning"]
    message: str
    hint: str


Rule = Callable[[Site], Complaint | None]


def refusal(message: str, hint: str) -> Complaint:
    """What stops an engine."""
    return Complaint("error", message, hint)


def sites(model: Any, path: Path) -> Iterator[tuple[str, Site]]:
    """Every node, also those of subgraphs and local functions: (the graph it is of, the node)."""
    opsets = tuple((opset.domain, opset.version) for opset in model.opset_import)
    scope = Scope({}, {}, {}, frozenset(), path.parent, opsets)
    yield from _graph_sites(path.stem, model.graph, scope, top=True)
    for function in model.functions:
        name = f"{path.stem}/{function.domain}::{function.name}"
        types = {v.name: v.type.tensor_type for v in function.value_info}
        given: dict[str, Origin | None] = dict.fromkeys(function.input)
        own = replace(scope, types=types, origins=given, outputs=frozenset(function.output))
        yield from _node_sites(name, function.node, own)


def _graph_sites(
    name: str, graph: Any, around: Scope, top: bool = False
) -> Iterator[tuple[str, Site]]:
    """The nodes of a graph, which also sees the tensors of the graph around it."""
    from onnx import TypeProto

    types, constants = dict(around.types), dict(around.constants)
    origins = dict(around.origins)
    for value in graph.input:
        number = value.type.tensor_type.elem_type
        # A subgraph's inputs are what its node hands in, each round something else.
        origins[value.name] = _kind(number) if top else "made"
    for tensor in graph.initializer:
        constants[tensor.name], origins[tensor.name] = tensor, "weights"
        types[tensor.name] = TypeProto.Tensor(elem_type=tensor.data_type)
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type"):
            types[value.name] = value.type.tensor_type
    outputs = frozenset(value.name for value in graph.output)
    scope = replace(around, types=types, constants=constants, origins=origins, outputs=outputs)
    yield from _node_sites(name, graph.node, scope)


def _kind(number: int) -> Origin:
    kind = type_name(number) or ""
    return "ints" if "INT" in kind or kind == "BOOL" else "floats"


def _node_sites(name: str, nodes: Iterable[Any], scope: Scope) -> Iterator[tuple[str, Site]]:
    constants, origins = dict(scope.constants), dict(scope.origins)
    scope = replace(scope, constants=constants, origins=origins)
    for node in nodes:
        site = Site(node, scope)
        if node.op_type == "Constant" and (value := _stored(site)) is not None:
            constants.update(dict.fromkeys(node.output, value))
        origins.update(dict.fromkeys(site.outputs(), _made(site)))
        yield name, site
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                inner = f"{name}/{node.name or node.op_type}.{attribute.name}"
                yield from _graph_sites(inner, graph, scope)


def _stored(site: Site) -> Any:
    """The TensorProto that a Constant holds, or None: strings and sparse values are none here."""
    import numpy as np
    from onnx.numpy_helper import from_array

    value = site.attribute("value")
    if hasattr(value, "data_type"):
        return value
    for name, kind in (("value_int", np.int64), ("value_float", np.float32)):
        for found in (site.attribute(name), site.attribute(f"{name}s")):
            if isinstance(found, int | float | list):
                return from_array(np.asarray(found, kind))
    return None


def _made(site: Site) -> Origin:
    """Where the values of a node's outputs come from."""
    operator, count = site.node.op_type, range(len(site.node.input))
    if operator == "Constant":
        return "weights"
    if operator in _SIZES:
        shape = site.shape(0)
        return "computed" if shape is not None and None not in shape else "sizes"
    found: list[Origin] = [site.origin(i) or "made" for i in count if site.given(i)]
    if not found:  # drawn, or all of it lies in subgraphs
        return "made"
    worst: Origin = max(found, key=_ORDER.index)
    if operator in _FOLDED and worst in ("weights", "folded"):
        return "folded"
    if operator in _OPEN:
        return "data" if worst in ("ints", "floats", "data") else "made"
    return "computed" if worst in ("weights", "folded") else worst
