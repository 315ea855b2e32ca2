"""Level 1 on files of strangers: operators used as TensorRT cannot, weights, forms, and rubbish."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from compare_readiness import parsed  # pyright: ignore
from test_readiness import FLOAT, INT64, node, save, value  # pyright: ignore

from dln.core.errors import UsageError
from dln.export.readiness import check_table

SHELF = Path(__file__).parents[3] / "shared" / "cases" / "export"
needs_rtx = pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="needs tensorrt-rtx")
UINT8, BOOL, BF16 = TensorProto.UINT8, TensorProto.BOOL, TensorProto.BFLOAT16
ONES = np.ones((2, 3), np.float32)
IMAGE = [1, 2, 8, 8]


def through(operator, inputs, *, constants=None, outputs=("y",), before=(), opset=20, **attributes):
    """inputs: (name, type, shape) of the graph, or the name of a constant or of what `before`
    makes."""
    names = [i if isinstance(i, str) else i[0] for i in inputs]
    given = [value(*i) for i in inputs if not isinstance(i, str)]
    given += [value(*i) for made in before for i in made[1]]
    nodes = [
        *(made[0] for made in before),
        node(operator, names, list(outputs), "it", **attributes),
    ]

    def write(path):
        returned = [value(name) for name in outputs if name]
        return save(path, nodes, given, returned, constants, opset)

    return write


def endless_loop(path):
    """Its body adds the number of the round, and nothing limits the rounds."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Cast", ["i"], ["f"], to=FLOAT),
         node("Add", ["a", "f"], ["b"])],
        "body",
        [value("i", INT64, []), value("go", BOOL, []), value("a", FLOAT, [2])],
        [value("on", BOOL, []), value("b", FLOAT, [2])],
    )  # fmt: skip
    made = node("Loop", ["n", "go0", "x"], ["y"], "it", body=body)
    inputs = [value("x", FLOAT, [2]), value("go0", BOOL, [])]
    return save(path, [made], inputs, [value("y", FLOAT, [2])], {"n": np.array(2**63 - 1)})


def branches_of(rank):
    def write(path):
        body = {
            name: helper.make_graph([made], name, [], [value(made.output[0])])
            for name, made in (
                ("then_branch", node("Reshape", ["x", "long"], ["a"])),
                ("else_branch", node("Identity", ["x"], ["b"])),
            )
        }
        made = node("If", ["c"], ["y"], "it", **body)  # pyright: ignore
        inputs = [value("c", BOOL, []), value("x", FLOAT, [2, 3])]
        shape = np.array([2, 3] + [1] * (rank - 2))
        return save(path, [made], inputs, [value("y")], {"long": shape})

    return write


X, AXES = ("x", FLOAT, [2, 3]), ("axes", INT64, [1])
CAST = (node("Cast", ["f"], ["n"], to=INT64), [("f", FLOAT, [2])])
REFUSED = {
    "axes given": through("ReduceSum", [X, AXES]),
    "axes computed": through("ReduceSum", [X, "a"], constants={"c": np.array([0])},
                             before=[(node("Add", ["c", "c"], ["a"]), [])]),
    "squeeze by data": through("Unsqueeze", [X, AXES]),
    "repeats from floats": through("Tile", [X, "n"], before=[CAST]),
    "scales from floats": through("Resize", [("x", FLOAT, IMAGE), "", ("s", FLOAT, [4])],
                                  mode="nearest"),
    "two results": through("LayerNormalization", [X, "s"], constants={"s": ONES[0]},
                           outputs=("y", "mean")),
    "uint8": through("Add", [("x", UINT8, [4]), ("z", UINT8, [4])]),
    "uint8 between": through("Identity", ["n"], before=[
        (node("Cast", ["f"], ["n"], to=UINT8), [("f", FLOAT, [2])])]),
    "bfloat16": through("Mish", [("x", BF16, [4])], opset=22),
    "dilated": through("AveragePool", [("x", FLOAT, IMAGE)], kernel_shape=[2, 2], dilations=[2, 2]),
    "training": through("BatchNormalization", [("x", FLOAT, IMAGE), *"ssss"], training_mode=1,
                        constants={"s": ONES[:, 0]}, outputs=("y", "a", "b")),
    "dropping out": through("Dropout", [X, "r", "t"],
                            constants={"r": np.float32(0.5), "t": np.array(True)}),
    "windows": through("STFT", [("x", FLOAT, [1, 64, 1]), ("n", INT64, []), "", "w"],
                       constants={"w": np.array(16)}),
    "regions": through("RoiAlign", [("x", FLOAT, IMAGE), ("r", FLOAT, [1, 4]), ("i", INT64, [1])]),
    "crop": through("Resize", [("x", FLOAT, IMAGE), "r", "", "s"], mode="linear",
                    coordinate_transformation_mode="tf_crop_and_resize",
                    constants={"r": np.array([0] * 4 + [1] * 4, np.float32), "s": np.array(IMAGE)}),
    "third power": through("LpPool", [("x", FLOAT, IMAGE)], kernel_shape=[2, 2], p=3),
    "float remainder": through("Mod", [X, ("z", FLOAT, [2, 3])]),
    "row by stack": through("MatMul", [("x", FLOAT, [3]), ("z", FLOAT, [2, 3, 4])]),
    "no such type": through("Cast", ["n"], to=FLOAT, before=[
        (node("Cast", ["f"], ["n"], to=TensorProto.INT16), [("f", FLOAT, [2])])]),
    "old broadcast": through("Add", [X, ("z", FLOAT, [2, 3])], opset=6),
    "endless loop": endless_loop,
    "branches": branches_of(3),
}  # fmt: skip
TAKEN = {
    "axes cast": through("ReduceSum", [X, "a"], constants={"c": np.array([0], np.int32)},
                         before=[(node("Cast", ["c"], ["a"], to=INT64), [])]),
    "repeats given": through("Tile", [X, ("n", INT64, [2])]),
    "repeats from sizes": through("Tile", [("x", FLOAT, [2, 3]), "n"],
                                  before=[(node("Shape", ["f"], ["n"]), [("f", FLOAT, [2, 3])])]),
    "unused results": through("LayerNormalization", [X, "s"], constants={"s": ONES[0]},
                              outputs=("y", "")),
    "uint8 in": through("Cast", [("x", UINT8, [4])], to=FLOAT),
    "opset 8": through("Relu", [X], opset=8),
    "remainder": through("Mod", [X, ("z", FLOAT, [2, 3])], fmod=1),
    "matrix by row": through("MatMul", [("x", FLOAT, [2, 3]), ("z", FLOAT, [3])]),
    "branches": branches_of(2),
}  # fmt: skip


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "graph.onnx"


def errors(found):
    return [finding for finding in found if finding.severity == "error"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_parser_refuses_of_operators_that_it_has(name, path):
    found = errors(check_table(REFUSED[name](path)))
    assert found
    assert all(finding.hint for finding in found)
    assert found[0].operator


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_parser_takes_of_them(name, path):
    assert errors(check_table(TAKEN[name](path))) == []


@needs_rtx
def test_the_parser_agrees(tmp_path):
    """Of all but branches of two ranks, which the builder alone notices."""
    graphs = {f"no {name}": make for name, make in REFUSED.items() if name != "branches"} | TAKEN
    said = parsed([make(tmp_path / f"{name}.onnx") for name, make in graphs.items()])
    assert {path.stem for path, refused in said.items() if refused is None} == set(TAKEN)


def relu(path):
    return save(path, [node("Relu", ["x"], ["y"], "it")], [value(*X)], [value("y")])


def changed(path, change):
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return check_table(path)


def weights(model, **fields):
    model.graph.initializer.append(TensorProto(name="w", data_type=FLOAT, dims=[4], **fields))
    return model.graph.initializer[-1]


def lying_in(location: str, offset: object = 0):
    def change(model):
        tensor = weights(model, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="offset", value=str(offset))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: weights(model), "have no data"),
        (lambda model: weights(model, raw_data=b"1234"), "need 16 bytes and have 4"),
        (lying_in("gone.bin"), "'gone.bin', which cannot be read"),
        (lying_in("../../etc/passwd"), "outside the model's folder"),
        (lying_in("/etc/passwd"), "outside the model's folder"),
        (lying_in("folder"), "no file"),
        (lying_in("short.bin"), "beyond the end"),
        (lying_in("long.bin", 10), "beyond the end"),
        (lying_in("a\0b"), "outside"),
        (lying_in("long.bin", "x"), "no number"),
    ],
)
def test_weights_that_are_not_there(change, said, path):
    (path.parent / "folder").mkdir()
    (path.parent / "short.bin").write_bytes(b"12345678")
    (path.parent / "long.bin").write_bytes(bytes(16))
    found = errors(changed(relu(path), change))
    assert [said in finding.message for finding in found] == [True]


def test_weights_of_types_that_tensorrt_has_not_and_sparse_ones(path):
    def change(model):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.int16), "w"))

    assert "INT16" in errors(changed(relu(path), change))[0].message
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    places = numpy_helper.from_array(np.array([0]), "places")

    def sparse(model):
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))
        model.graph.node[0].CopyFrom(node("Add", ["x", "w"], ["y"], "it"))

    assert "sparse" in errors(changed(relu(path), sparse))[0].message


@pytest.mark.parametrize(
    ("nodes", "severity", "said"),
    [
        ([("Relu", ["a"], ["y"]), ("Neg", ["x"], ["a"])], "warning", "topologically sorted"),
        ([("Add", ["x", "y"], ["a"]), ("Neg", ["a"], ["y"])], "error", "their own outputs"),
        ([("Add", ["x", "nowhere"], ["y"])], "error", "nowhere"),
        ([("Relu", ["x"], ["a"]), ("Neg", ["x"], ["a"]), ("Neg", ["a"], ["y"])], "error", "(SSA)"),
        ([("Sigmoid", ["x", "x"], ["y"])], "error", "input size 2"),
        ([("Cast", ["x"], ["y"])], "error", "Required attribute 'to'"),
        ([("Blur", ["x"], ["y"])], "error", "no release of ONNX"),
    ],
)
def test_what_is_no_onnx_graph(nodes, severity, said, path):
    made = [node(*each) for each in nodes]
    found = check_table(save(path, made, [value(*X)], [value("y", FLOAT, [2, 3])]))
    assert [(f.severity, said in f.message) for f in found] == [(severity, True)]


def test_shapes_that_do_not_fit_are_named_at_their_node(path):
    made = node("MatMul", ["x", "z"], ["y"], "it")
    inputs = [value("x", FLOAT, [4, 5]), value("z", FLOAT, [4, 5])]
    (found,) = check_table(save(path, [made], inputs, [value("y", FLOAT, [4, 5])]))
    assert (found.severity, found.operator, found.node) == ("error", "MatMul", "it")


def test_a_missing_shape_is_a_matter_of_form(path):
    def forget(model):
        model.graph.output[0].type.tensor_type.ClearField("shape")

    (found,) = changed(relu(path), forget)
    assert (found.severity, found.message.split(":")[0]) == ("warning", "ONNX's checker")


def nested(depth):
    graph = helper.make_graph([node("Neg", ["x"], ["y"])], "g", [], [value("y")])
    for _ in range(depth):
        made = node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([made], "g", [], [value("y")])
        if len(graph.SerializeToString()) > 1 << 20:
            break
    graph.input.extend([value(*X), value("c", BOOL, [])])
    return helper.make_model(graph).SerializeToString()


RELU = helper.make_graph([node("Relu", ["x"], ["y"])], "g", [value(*X)], [value(*X)])
ROUGH = {
    "empty": b"",
    "text": b"not a graph",
    "random": np.random.default_rng(0).bytes(1000),
    "tensor": numpy_helper.from_array(ONES, "weights").SerializeToString(),
    "graph alone": RELU.SerializeToString(),
    "half": helper.make_model(RELU).SerializeToString()[:60],
    "names of no text": helper.make_model(RELU).SerializeToString().replace(b"Relu", b"Re\xff\xfe"),
}


@pytest.mark.parametrize("name", ROUGH)
def test_other_files_get_a_sentence(name, path):
    path.write_bytes(ROUGH[name])
    with pytest.raises(UsageError, match=r"graph\.onnx"):
        check_table(path)


def test_folders_and_devices_are_no_files(tmp_path):
    for place in (tmp_path, Path("/dev/null"), tmp_path / ("a" * 300), tmp_path / "a\0b"):
        with pytest.raises(UsageError):
            check_table(place)


def test_subgraphs_in_subgraphs_end(path):
    path.write_bytes(nested(12))
    assert "Bernoulli" not in {finding.operator for finding in check_table(path)}


@pytest.mark.parametrize("seed", range(4))
def test_mutilated_files_end_in_a_finding_or_a_sentence(seed, path):
    """A few bytes of a graph with subgraphs, constants and weights beside it are changed."""
    rng = np.random.default_rng(seed)
    whole = endless_loop(path).read_bytes()
    for _ in range(150):
        rough = bytearray(whole)
        for place in rng.integers(0, len(rough), rng.integers(1, 6)):
            rough[place] = rng.integers(0, 256)
        path.write_bytes(bytes(rough[: rng.integers(len(rough) // 2, len(rough) + 1)]))
        try:
            found = check_table(path)
        except UsageError:
            continue
        assert all(finding.message for finding in found)


OF_THE_SHELF = {
    "roialign": "RoiAlign", "loop": "Loop", "sparse_nnz": "sparse", "capability": "no release",
    "bad_graph_conditionally_invalid": "2 and of 1", "if_rank": "3 and of 2",
    "bad_graph_with_multi_level_errors": "Incompatible dimensions", "toy_subgraph": "no release",
    "weightless.conv": "need 4096 bytes", "qdq_conv": "zero point", "nonzero": "NonZero",
    "identity": None, "IDENTITY": None, "dynamic_identity": None,
    "ch_ppocr_mobile_v2.0_cls_infer": None,
}  # fmt: skip


@pytest.mark.skipif(not SHELF.is_dir(), reason="needs the published files")
@pytest.mark.parametrize("name", OF_THE_SHELF)
def test_published_files(name):
    (path,) = [path for path in SHELF.iterdir() if path.stem == name]
    said, found = OF_THE_SHELF[name], check_table(path)
    assert not any("opset" in finding.message for finding in found)
    assert bool(errors(found)) == bool(said)
    assert said is None or any(said in f"{f.message} {f.operator}" for f in errors(found))
