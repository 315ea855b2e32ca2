"""The static check: each rule fires, fires nowhere else, and TensorRT-RTX agrees with it."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dln.core.errors import MissingCapability, UsageError
from dln.export.readiness import check, check_parser, check_table
from dln.export.tensorrt import Profile

needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")
FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
node = helper.make_node


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, constants=None, opset=20, functions=(), domains=()):
    """One graph as an ONNX file; constants: {name: array}."""
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)
    for output in model.graph.output:  # of every rank: which one, nodes may leave open
        output.type.tensor_type.shape.SetInParent()
    onnx.save(shaped(model), path)
    return path


def shaped(model):
    """With its outputs' shapes, where they follow: without one, ONNX's checker refuses it."""
    kinds = {value.name: value for value in model.graph.output}
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    for found in onnx.shape_inference.infer_shapes(bare).graph.output:
        if found.type.tensor_type.HasField("shape"):
            kinds[found.name].CopyFrom(found)
    return model


def single(path, operator, shape, constants=None, opset=20, kind=FLOAT, **attributes):
    """x, and constants as further inputs, through one node."""
    given = ["x", *(constants or {})]
    outputs = ["y", "places"] if operator == "TopK" else ["y"]
    made = node(operator, given, outputs, "it", **attributes)
    return save(path, [made], [value("x", kind, shape)], [value("y", kind)], constants, opset)


def attention(path, kind, shape, past=False, **attributes):
    names = list("qkv") + ["", "pk", "pv"] * past
    outputs = ["y"] + ["k2", "v2"] * past
    made = node("Attention", names, outputs, "it", **attributes)
    inputs = [value(n, kind, shape) for n in names if n]
    return save(path, [made], inputs, [value(n, kind) for n in outputs], opset=23)


def loop(path, trips_known):
    body = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), *(node("Neg", ["a"], [n]) for n in ("a2", "row"))],
        "body",
        [value("i", INT64, []), value("c", TensorProto.BOOL, []), value("a", FLOAT, [2])],
        [value("c2", TensorProto.BOOL, []), value("a2", FLOAT, [2]), value("row", FLOAT, [2])],
    )
    made = node("Loop", ["n", "yes", "x"], ["y", "rows"], "it", body=body)
    constants = {"yes": np.array(True)} | ({"n": np.array(3)} if trips_known else {})
    inputs = [value("x", FLOAT, [2]), *([] if trips_known else [value("n", INT64, [])])]
    return save(path, [made], inputs, [value("y"), value("rows")], constants)


def zero_point(path, zero):
    constants = {"s": np.float32(0.1), "z": np.array(zero, np.int8)}
    chain = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "it"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], "back"),
    ]
    return save(path, chain, [value("x", FLOAT, [8])], [value("y", FLOAT, [8])], constants)


ROWS = {"i": np.array([[0], [1]]), "u": np.ones((2, 8), np.float32)}
SCALES = {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 0.5, 0.5], np.float32)}
ERRORS = {
    "multinomial": (lambda p: single(p, "Multinomial", [1, 8], dtype=INT64), "on the host"),
    "bernoulli": (lambda p: single(p, "Bernoulli", [8]), "noise"),
    "nonzero": (lambda p: single(p, "NonZero", [8]), "data"),
    "top-k": (lambda p: single(p, "TopK", [5000], {"k": np.array([3841])}), "fewer"),
    "antialias": (
        lambda p: single(p, "Resize", [1, 3, 8, 8], SCALES, mode="linear", antialias=1),
        "blur",
    ),
    "reduction": (lambda p: single(p, "ScatterND", [4, 8], ROWS, reduction="add"), "one-hot"),
    "zero point": (lambda p: zero_point(p, 3), "symmetrically"),
    "attention float32": (lambda p: attention(p, FLOAT, [1, 2, 8, 64]), "opset 20"),
    "attention small heads": (lambda p: attention(p, HALF, [1, 2, 8, 8]), "opset 20"),
    "attention past": (lambda p: attention(p, HALF, [1, 2, 8, 64], past=True), "Concat"),
}
FINE = {
    "softmax": lambda p: single(p, "Softmax", [2, 8]),
    "top-k": lambda p: single(p, "TopK", [5000], {"k": np.array([3840])}),
    "resize": lambda p: single(p, "Resize", [1, 3, 8, 8], SCALES, mode="linear"),
    "scatter": lambda p: single(p, "ScatterND", [4, 8], ROWS),
    "zero point": lambda p: zero_point(p, 0),
    "attention": lambda p: attention(p, HALF, [1, 2, 8, 64]),
    "attention 3d": lambda p: attention(p, HALF, [1, 8, 128], q_num_heads=2, kv_num_heads=2),
    "loop": lambda p: loop(p, True),
}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "graph.onnx"


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_names_the_node_and_says_what_to_do(name, path):
    make, hint = ERRORS[name]
    found = [f for f in check_table(make(path)) if f.severity == "error"]
    assert found
    assert (found[0].graph, found[0].node, found[0].level) == ("graph", "it", 1)
    assert found[0].operator == onnx.load(path).graph.node[0].op_type
    assert hint in found[0].hint


@pytest.mark.parametrize("name", FINE)
def test_what_is_supported_is_not_complained_about(name, path):
    assert check_table(FINE[name](path)) == []


@needs_rtx
@pytest.mark.parametrize("name", ERRORS)
def test_tensorrt_refuses_what_the_table_refuses(name, path):
    found = check(ERRORS[name][0](path), 3)
    assert {f.severity for f in found if f.level > 1} == {"error"}


@needs_rtx
@pytest.mark.parametrize("name", FINE)
def test_tensorrt_builds_what_the_table_takes(name, path):
    assert check(FINE[name](path), 3) == []


def warnings(path) -> list[tuple[str, str]]:
    found = check_table(path)
    assert {f.severity for f in found} <= {"warning"}
    return [(f.operator, f.message) for f in found]


def test_random_operators_ignore_their_seed(path):
    ((operator, message),) = warnings(single(path, "RandomNormalLike", [8], seed=3.0))
    assert operator == "RandomNormalLike"
    assert "seed" in message


def test_a_loop_that_stacks_an_unknown_number_of_rows(path):
    found = warnings(loop(path, False))
    assert [operator for operator, _ in found] == ["", "Loop"]
    assert "int64 inputs" in found[0][1]


@pytest.mark.parametrize("operator", ["Softmax", "ReduceMean"])
def test_sums_in_float16(operator, path):
    ((found, message),) = warnings(single(path, operator, [2, 8], kind=HALF))
    assert found == operator
    assert "float16" in message


def test_a_float32_island_in_float16_is_fine(path):
    chain = [
        node("Cast", ["x"], ["wide"], to=FLOAT),
        node("Softmax", ["wide"], ["soft"]),
        node("Cast", ["soft"], ["y"], to=HALF),
    ]
    assert check_table(save(path, chain, [value("x", HALF, [8])], [value("y", HALF)])) == []


@pytest.mark.parametrize(
    ("opset", "severity"), [(6, "warning"), (8, None), (20, None), (24, None), (25, "warning")]
)
def test_opsets(opset, severity, path):
    found = check_table(single(path, "Relu", [8], opset=opset))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_an_operator_of_nobody_s(path):
    odd = node("Blur", ["x"], ["y"], "odd", domain="elsewhere")
    graph = save(path, [odd], [value("x", FLOAT, [8])], [value("y")], domains=["elsewhere"])
    (found,) = check_table(graph)
    assert (found.severity, found.node) == ("error", "odd")
    assert "elsewhere" in found.message


def branching(path):
    drawn = node("Bernoulli", ["x"], ["then"], "inside")
    branches: Any = {
        "then_branch": helper.make_graph([drawn], "then", [], [value("then")]),
        "else_branch": helper.make_graph(
            [node("Neg", ["x"], ["else"])], "else", [], [value("else")]
        ),
    }
    made = node("If", ["c"], ["y"], "choice", **branches)
    return save(
        path, [made], [value("x", FLOAT, [8]), value("c", TensorProto.BOOL, [])], [value("y")]
    )


def calling(path):
    body = [node("Neg", ["a"], ["b"]), node("Bernoulli", ["b"], ["c"], "inside")]
    function = helper.make_function(
        "own", "Draw", ["a"], ["c"], body, [helper.make_opsetid("", 20)]
    )
    made = node("Draw", ["x"], ["y"], "call", domain="own")
    shapes = [value("x", FLOAT, [8])], [value("y")]
    return save(path, [made], *shapes, functions=[function], domains=["own"])


@pytest.mark.parametrize(
    ("make", "place"), [(branching, "choice.then_branch"), (calling, "own::Draw")]
)
def test_subgraphs_and_functions_are_looked_into(make, place, path):
    (found,) = check_table(make(path))
    assert (found.graph, found.node, found.operator) == (f"graph/{place}", "inside", "Bernoulli")


@needs_rtx
@pytest.mark.parametrize("make", [branching, calling])
def test_the_parser_names_the_node_in_a_subgraph(make, path):
    (found,) = check_parser(make(path))
    assert (found.level, found.node, found.operator) == (2, "inside", "Bernoulli")
    assert found.graph.startswith("graph/c")
    assert "noise" in found.hint


def test_a_frozen_axis(path):
    single(path, "Relu", ["batch", 5, "width"])
    (found,) = check_table(path, {"x": [0, 1, 2]})
    assert found.severity == "error"
    assert "dimension 1 of input 'x' is fixed at 5" in found.message


def test_an_input_that_the_graph_lost(path):
    (found,) = check_table(single(path, "Relu", ["batch"]), {"x": [0], "scale": [0]})
    assert "'scale'" in found.message


def test_profiles_say_what_must_vary(path):
    single(path, "Relu", [4, 5])
    profile = Profile({"x": ((1, 5), (2, 5), (4, 5))})
    assert ["fixed at 4" in f.message for f in check(path, 1, {"graph": profile})] == [True]
    assert check(path, 1, {"other": profile}) == []


@pytest.mark.parametrize(
    ("kind", "severity"), [(TensorProto.INT16, "error"), (TensorProto.DOUBLE, "warning")]
)
def test_types_that_tensorrt_has_not(kind, severity, path):
    (found,) = check_table(single(path, "Identity", [8], kind=kind))
    assert found.severity == severity


@pytest.mark.parametrize("content", [None, b"", b"not a graph"])
def test_what_is_no_onnx_file_is_said_in_a_sentence(content, path):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"graph\.onnx") as caught:
        check_table(path)
    assert caught.value.hint


def test_weights_whose_file_is_gone_are_named(path):
    zero_point(path, [3] * 8)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    assert [f.operator for f in check_table(path)] == ["QuantizeLinear", "DequantizeLinear"]
    (path.parent / "weights").unlink()
    found = check_table(path)
    assert {f.severity for f in found} == {"error"}
    assert ["'weights'" in f.message for f in found] == [True, True]


def test_a_parser_that_cannot_be_imported(path, tmp_path, monkeypatch):
    single(path, "Relu", [8])
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvonnxparser.so.11')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with pytest.raises(MissingCapability, match="libnvonnxparser") as caught:
        check_parser(path, backend="tensorrt")
    assert "pip install" in (caught.value.hint or "")


def test_the_table_knows_every_operator_of_its_opsets():
    table = json.loads(files("dln.export").joinpath("operators.json").read_text())
    known = {*table["supported"], *table["unsupported"]}
    schemas = onnx.defs.get_all_schemas()
    there = {s.name for s in schemas if not s.domain and s.since_version <= table["opsets"][1]}
    assert there <= known
    assert not set(table["supported"]) & set(table["unsupported"])
    assert all(table["unsupported"].values())


def test_level_one_needs_neither_torch_nor_nvidia(path):
    single(path, "Relu", [8])
    code = (
        "import sys; from pathlib import Path; from dln.export.readiness import check;"
        "assert check(Path(sys.argv[1]), 1) == [];"
        "print({'torch', 'tensorrt_rtx', 'tensorrt'} & {m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
