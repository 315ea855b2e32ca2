"""A graph of a model as an ONNX file that holds the computation and nothing else."""

import gc
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError
from dln.core.files import disk_errors
from dln.core.models.graph import Graph, Value, fit, flatten, spell

from .axes import evaluate

if TYPE_CHECKING:
    import onnx_ir

OPSET = 20  # 21 to 24 load everywhere too, but gain nothing; 26 fails the checker
BF16_OPSET = 22  # the first in which convolutions take bfloat16
INLINE_LIMIT = 1 << 30  # bytes of weights above which they go into a file of their own


def write_onnx(graph: Graph, path: Path, opset: int = OPSET) -> None:
    """Trace `graph` and write it to `path` (and `path`.data where the weights are above 1 GiB).

    Inputs, outputs and varying dimensions are named as the graph names them. The same weights
    give the same bytes. DlnError where the graph cannot be traced or a dimension that has to
    vary came out fixed.
    """
    model = trace(graph, opset)
    clean(model)
    name_axes(model, graph)
    save(model, path)
    check_file(path, graph)


def save(model: "onnx_ir.Model", path: Path) -> None:
    """Write it, its weights beside it as `path`.data where they are above INLINE_LIMIT."""
    import onnx_ir

    size = sum(value.const_value.nbytes for value in model.graph.initializers.values())  # pyright: ignore
    with disk_errors(path):
        data = path.name + ".data" if size > INLINE_LIMIT else None
        onnx_ir.save(model, path, external_data=data)


def trace(graph: Graph, opset: int) -> "onnx_ir.Model":
    """The graph as torch's exporter sees it, at sizes that no two dimensions share."""
    import torch

    inputs = graph.inputs(**tracing_sizes(graph))
    order = [name for name in inspect.signature(graph.module.forward).parameters if name in inputs]
    inputs = {name: inputs[name] for name in order}
    varying = dynamic_shapes(graph, inputs)
    try:
        with silence(), uncollected():
            program = torch.onnx.export(
                graph.module.eval(),
                kwargs=dict(inputs),
                dynamo=True,
                dynamic_shapes=varying,
                input_names=list(flatten(inputs)),
                output_names=list(graph.outputs),
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:
        reason = first_cause(error)
        raise DlnError(f"graph '{graph.name}' cannot be exported: {reason}") from error
    assert program is not None
    return program.model


def first_cause(error: BaseException) -> str:
    """One line of what lies behind torch's own report, which only tells how to ask for help."""
    while error.__cause__:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def tracing_sizes(graph: Graph) -> dict[str, int]:
    """A size of its own for each: torch takes dimensions of 0 and 1 for constants."""
    primes = [number for number in range(2, 400) if all(number % k for k in range(2, number))]
    chosen: dict[str, int] = {}
    for name, limits in graph.sizes.items():
        free = (p for p in primes if limits.smallest <= p <= limits.largest)
        own = (p for p in free if p not in chosen.values())
        chosen[name] = next(own, limits.largest)
    return chosen


def dynamic_shapes(graph: Graph, inputs: dict[str, Value]) -> dict[str, Any]:
    """What may vary, as torch.export wants it. Dimensions of one name are one symbol."""
    from torch import Tensor
    from torch.export import Dim

    axes = graph.axes()
    shared = {name: Dim(name, min=0) for name in graph.sizes}

    def of(name: str) -> dict[int, Any]:
        return {d: shared.get(rule, Dim.DYNAMIC) for d, rule in axes.get(name, {}).items()}

    return {
        name: of(name)
        if isinstance(value, Tensor)
        else [of(f"{name}_{number}") for number in range(len(value))]
        for name, value in inputs.items()
    }


@contextmanager
def silence() -> Iterator[None]:
    """torch's exporter speaks on stdout, stderr, in warnings and in logs; none is for the user."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(disabled)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for unreachable cycles inside: a trace makes a million objects that all stay, and
    looking through them again and again takes a seventh of its time."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


def clean(model: "onnx_ir.Model") -> None:
    """Drop stack traces, source lines and paths, and the shapes of what lies between."""
    model.doc_string, model.producer_name, model.producer_version = None, "dln", None
    kept = {id(value) for value in (*model.graph.inputs, *model.graph.outputs)}
    for part in (model, model.graph, *model.graph.inputs, *model.graph.outputs):
        part.metadata_props.clear()
    model.graph.doc_string = None
    used = {node.domain for node in model.graph.all_nodes()} | {
        "",
        *(f[0] for f in model.functions),
    }
    for domain in set(model.opset_imports) - used:
        del model.opset_imports[domain]
    for value in model.graph.initializers.values():
        value.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if id(value) not in kept:
                value.shape = value.type = None


def clean_file(path: Path, target: Path) -> None:
    """The same for a file that another tool has written; into another file."""
    import onnx_ir

    model = onnx_ir.external_data.load_to_model(onnx_ir.load(path))  # from files that will go
    clean(model)
    save(model, target)


def name_axes(model: "onnx_ir.Model", graph: Graph) -> None:
    """Symbolic dimensions get the graph's names for them."""
    import onnx_ir

    axes, symbols = graph.axes(), {}
    for value in model.graph.inputs:
        for dimension, rule in axes.get(str(value.name), {}).items():
            symbol = value.shape[dimension]  # pyright: ignore
            if isinstance(symbol, onnx_ir.SymbolicDim):
                symbols.setdefault(symbol.value, rule)
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.shape = onnx_ir.Shape(
            formula_of(d.value, symbols, graph)
            if isinstance(d, onnx_ir.SymbolicDim) and d.value is not None
            else d
            for d in value.shape  # pyright: ignore
        )


def formula_of(expression: str, symbols: Mapping[str, str], graph: Graph) -> str:
    """torch's expression for a dimension as a formula of the graph's sizes: where torch divides
    "batch*frames" by "batch" and multiplies again, "batch*frames". Kept where it has none.

    symbols: what torch's own symbols, those of the inputs, stand for.
    """
    if expression in symbols:
        return symbols[expression]

    def value(sizes: Mapping[str, int]) -> int:
        known = {symbol: evaluate(rule, sizes) for symbol, rule in symbols.items()}
        found = evaluate(expression, {**sizes, **{s: n for s, n in known.items() if n is not None}})
        if found is None:
            raise DlnError(f"{expression} is not known before the run")
        return found

    try:
        terms = fit(value, graph.sizes, expression)
    except DlnError:
        return expression
    return spell(terms) if any(terms) else expression


def check_file(path: Path, graph: Graph) -> None:
    """onnx's own full check, and every varying dimension symbolic in the file. DlnError."""
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise DlnError(f"graph '{graph.name}' is not valid ONNX: {error}") from error
    frozen = frozen_axes(path, graph)
    if frozen:
        where = "; ".join(f"{name}[{dimension}] = {size}" for name, dimension, size in frozen)
        raise DlnError(f"graph '{graph.name}' came out with a frozen dimension: {where}")


def frozen_axes(path: Path, graph: Graph) -> list[tuple[str, int, int]]:
    """(input, dimension, size) of each dimension that should vary and is a number in the file."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    axes = graph.axes()
    return [
        (value.name, dimension, value.type.tensor_type.shape.dim[dimension].dim_value)
        for value in model.graph.input
        for dimension in axes.get(value.name, {})
        if not value.type.tensor_type.shape.dim[dimension].dim_param
    ]


def dtypes_found(path: Path) -> dict[str, int]:
    """How many weights the file holds of each type: {"float16": 5848320, "int64": 12}."""
    import onnx

    found: dict[str, int] = {}
    for tensor in onnx.load(str(path), load_external_data=False).graph.initializer:
        name = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        count = 1
        for size in tensor.dims:
            count *= size
        found[name] = found.get(name, 0) + count
    return found
