"""ONNX files: valid node by node, free of this machine, and right at sizes no trace has seen."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

sys.path.append(str(Path(__file__).parent))
import toy_export
from toy_export import NAMES, TOY, Apply, Pair, build, exported, graph

from dln.core.errors import DlnError
from dln.core.files import sha256_file
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Range, flatten
from dln.export import onnx as module
from dln.export.onnx import OPSET, dtypes_found, frozen_axes, tracing_sizes, write_onnx
from dln.export.parity import example

GRAPHS = build().graphs()


@pytest.fixture(scope="module")
def models() -> dict[str, onnx.ModelProto]:
    """The toy's files by graph."""
    return {name: onnx.load(str(exported().file(name))) for name in NAMES}


def faults(part: onnx.GraphProto, opsets: dict[str, int], outer: set[str]) -> Iterator[str]:
    """What is wrong with a graph's nodes, those of its sub-graphs among them."""
    known = outer | {v.name for v in part.input} | {t.name for t in part.initializer}
    needed = {v.name for v in part.output}
    names: set[str] = set()
    for node in part.node:
        where = f"{node.op_type} {node.name}"
        yield from (f"{where} reads {n} too early" for n in node.input if n and n not in known)
        yield from (f"{where} writes {n} again" for n in node.output if n and n in known)
        if not node.name or node.name in names:
            yield f"{where} has no name of its own"
        names.add(node.name)
        known |= set(node.output)
        needed |= set(node.input)
        yield from schema_faults(node, opsets, where)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.type in (5, 10) else ():
                yield from faults(inner, opsets, known)
    yield from (f"{v.name} is never made" for v in part.output if v.name not in known)
    unread = [node.name for node in part.node if not needed & set(node.output)]
    yield from (f"{name} is read by nobody" for name in unread)
    yield from (f"weight {t.name} is read by nobody" for t in part.initializer
                if t.name not in needed)  # fmt: skip


def schema_faults(node: onnx.NodeProto, opsets: dict[str, int], where: str) -> Iterator[str]:
    """What the declared opset says of this node."""
    if node.domain not in opsets:
        yield f"{where} is of the undeclared domain {node.domain!r}"
        return
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
    except onnx.defs.SchemaError:
        yield f"{where} is not in opset {opsets[node.domain]}"
        return
    if schema.deprecated:
        yield f"{where} is deprecated"
    if not schema.min_input <= len(node.input) <= schema.max_input:
        yield f"{where} has {len(node.input)} inputs"
    if not schema.min_output <= len(node.output) <= schema.max_output:
        yield f"{where} has {len(node.output)} outputs"
    for attribute in node.attribute:
        if attribute.name not in schema.attributes:
            yield f"{where} has an attribute {attribute.name}"
    for name, attribute in schema.attributes.items():
        if attribute.required and name not in {a.name for a in node.attribute}:
            yield f"{where} lacks {name}"


def node_faults(model: onnx.ModelProto) -> list[str]:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return list(faults(model.graph, opsets, set()))


@pytest.mark.parametrize("name", NAMES)
def test_every_node_is_valid(name, models):
    onnx.checker.check_model(models[name], full_check=True)
    assert node_faults(models[name]) == []
    assert [(entry.domain, entry.version) for entry in models[name].opset_import] == [("", OPSET)]


def test_the_node_checks_see_faults(models):
    """Each fault put into a good file is found by the checks above."""

    def broken(change) -> str:
        model = onnx.ModelProto()
        model.CopyFrom(models["decode"])
        change(model.graph.node)
        return "; ".join(node_faults(model))

    def swap(nodes):
        first, second = onnx.NodeProto(), onnx.NodeProto()
        first.CopyFrom(nodes[-1])
        second.CopyFrom(nodes[-2])
        nodes[-2].CopyFrom(first)
        nodes[-1].CopyFrom(second)

    assert "too early" in broken(swap)
    assert "never made" in broken(lambda nodes: nodes.pop())
    assert "read by nobody" in broken(lambda nodes: nodes[-1].output.__setitem__(0, "other"))
    assert "no name of its own" in broken(lambda nodes: setattr(nodes[1], "name", nodes[0].name))
    assert "not in opset" in broken(lambda nodes: setattr(nodes[0], "op_type", "Gather2"))
    assert "undeclared domain" in broken(lambda nodes: setattr(nodes[0], "domain", "com.other"))


@pytest.mark.parametrize("name", NAMES)
def test_each_axis_that_varies_is_symbolic(name, models):
    """The varying dimensions are found here by growing each size, not asked of the graph."""
    wanted: dict[str, set[int]] = {}
    typical = flatten(GRAPHS[name].inputs())
    for size, limits in GRAPHS[name].sizes.items():
        for key, tensor in flatten(GRAPHS[name].inputs(**{size: limits.typical + 3})).items():
            grown = {d for d, n in enumerate(tensor.shape) if n != typical[key].shape[d]}
            wanted.setdefault(key, set()).update(grown)
    found = {}
    for value in models[name].graph.input:
        dims = value.type.tensor_type.shape.dim
        found[value.name] = {d for d, dim in enumerate(dims) if dim.dim_param}
        fixed = {d: dim.dim_value for d, dim in enumerate(dims) if not dim.dim_param}
        assert all(typical[value.name].shape[d] == n for d, n in fixed.items())
    assert found == wanted
    assert any(found.values())
    assert [o.name for o in models[name].graph.output] == list(GRAPHS[name].outputs)


def untraced(name: str) -> list[dict[str, int]]:
    """Smallest sizes (batch 1, empty caches), then others, none of them those of the trace."""
    sizes = GRAPHS[name].sizes
    ends = {n: r.smallest for n, r in sizes.items()}
    middle = {n: (r.smallest + r.largest) // 2 for n, r in sizes.items()}
    mixed = {n: r.largest if i % 2 else r.smallest for i, (n, r) in enumerate(sizes.items())}
    traced = tracing_sizes(GRAPHS[name])
    assert not any(all(s[n] == traced[n] for n in traced) for s in (ends, middle, mixed))
    assert ends["batch"] == 1
    return [ends, middle, mixed]


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_were_not_traced(name):
    """ONNX Runtime's own session against the module, without any of the engines' code."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(exported().file(name)), options, providers=["CPUExecutionProvider"]
    )
    for sizes in untraced(name):
        inputs = example(GRAPHS[name], sizes, seed=5)
        expected = TorchEngine({name: GRAPHS[name]}).run(name, **inputs)
        feeds = {key: tensor.contiguous().numpy() for key, tensor in flatten(inputs).items()}
        found = session.run(list(GRAPHS[name].outputs), feeds)
        for wanted, got in zip(expected.values(), found, strict=True):
            np.testing.assert_allclose(got, wanted.numpy(), atol=2e-5, rtol=1e-4)  # pyright: ignore


def test_caches_may_be_empty():
    """The sizes of zero that the test above has run."""
    empty = {name: [n for n, size in untraced(name)[0].items() if size == 0] for name in NAMES}
    clip = ["spatial", "even", "odd"]
    expected = {"image": ["cached"], "keyframes": clip, "interpolation": clip}
    assert {name: sizes for name, sizes in empty.items() if sizes} == expected


AGAIN = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from toy_export import loaded
from dln.export.onnx import write_onnx
write_onnx(loaded().model.graphs()["image"], Path(sys.argv[2]))
"""


def test_the_same_weights_give_the_same_bytes(tmp_path):
    """In another process, in another folder, with another order of Python's sets."""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    target = tmp_path / "again.onnx"
    command = [sys.executable, "-c", AGAIN, str(Path(toy_export.__file__).parent), str(target)]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    assert sha256_file(target) == sha256_file(exported().file("image"))
    write_onnx(graph(Pair(seed=0)), tmp_path / "a.onnx")
    write_onnx(graph(Pair(seed=1)), tmp_path / "b.onnx")
    assert sha256_file(tmp_path / "a.onnx") != sha256_file(tmp_path / "b.onnx")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_this_machine_is_in_the_bytes(name, models):
    data = exported().file(name).read_bytes()
    root, home = Path(__file__).parents[2], Path.home()
    for word in (str(root), str(home), sys.prefix, torch.__path__[0], str(exported().folder)):
        assert len(word) < 4 or word.encode() not in data
    assert re.findall(rb"[\w/.-]+\.py\b|site-packages|Traceback|line \d+", data) == []
    assert re.findall(rb"(?:/[A-Za-z][\w.-]{2,}){2,}/|[A-Z]:\\\\", data) == []
    assert models[name].producer_name == "dln"
    assert not any(node.metadata_props or node.doc_string for node in models[name].graph.node)


def test_traces_are_in_what_torch_writes(tmp_path, monkeypatch):
    """What the test above looks for is there before it is cleaned away."""
    monkeypatch.setattr(module, "clean", lambda model: None)
    write_onnx(graph(Pair()), tmp_path / "raw.onnx")
    assert b"toy_export.py" in (tmp_path / "raw.onnx").read_bytes()


FROZEN = {
    "int": lambda x: x * int(x.shape[0]),
    "loop": lambda x: torch.stack([x[row] + row for row in range(x.shape[0])]),
    "a constant": lambda x: x + torch.ones(2, 8),
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_axis_is_refused_by_name(name, tmp_path):
    with pytest.raises(DlnError, match=r"graph 'step'.* frozen dimension: x\[0\] = 2$"):
        write_onnx(graph(Apply(FROZEN[name])), tmp_path / "step.onnx")


def test_frozen_axes_are_read_from_the_file(tmp_path):
    write_onnx(graph(Pair()), tmp_path / "step.onnx")
    assert frozen_axes(tmp_path / "step.onnx", graph(Pair())) == []
    model = onnx.load(str(tmp_path / "step.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "step.onnx")
    assert frozen_axes(tmp_path / "step.onnx", graph(Pair())) == [("x", 0, 4)]


IMPOSSIBLE = {
    "an operator": (torch.linalg.svdvals, "linalg_svd"),
    "a branch on data": (lambda x: x * 2 if float(x.sum()) > 0 else x, "data-dependent"),
    "shapes that do not fit": (lambda x: x @ x, "VR"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_torch_cannot_export_is_one_sentence(kind, tmp_path, caplog, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, said = IMPOSSIBLE[kind]
    with pytest.raises(DlnError, match="graph 'step' cannot be exported: ") as caught:
        write_onnx(graph(Apply(function)), tmp_path / "step.onnx")
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_derived_sizes_keep_their_rule(tmp_path):
    """A dimension of "rows + 2": its symbol is named, and the file runs at other sizes."""

    def inputs(rows: int) -> dict[str, Any]:
        return {"x": torch.randn(rows, 8), "past": torch.randn(rows + 2, 8)}

    class Sum(torch.nn.Module):
        def forward(self, x, past):
            return (x + past[2:],)

    made = Graph("step", Sum(), ("y",), inputs, {"rows": Range(1, 4, 9)})
    assert made.axes() == {"x": {0: "rows"}, "past": {0: "rows + 2"}}
    write_onnx(made, tmp_path / "step.onnx")
    dims = {v.name: v.type.tensor_type.shape.dim[0].dim_param
            for v in onnx.load(str(tmp_path / "step.onnx")).graph.input}  # fmt: skip
    assert dims == {"x": "rows", "past": "rows + 2"}
    session = onnxruntime.InferenceSession(str(tmp_path / "step.onnx"))
    for rows in (1, 2, 5):
        x, past = np.ones((rows, 8), np.float32), np.full((rows + 2, 8), 2, np.float32)
        assert np.array_equal(session.run(None, {"x": x, "past": past})[0], np.full((rows, 8), 3))  # pyright: ignore


def test_weights_by_type():
    """The backbone's, its tied embedding once more where it was sliced for the output."""
    backbone, codes = build().image, TOY.codes * TOY.width
    found = dtypes_found(exported().file("image"))
    assert set(found) == {"float", "int64"}
    assert 0 <= found["float"] - sum(p.numel() for p in backbone.parameters()) <= codes + 50


def test_types_are_counted(tmp_path):
    class Mixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.randn(8, 5).half())
            self.register_buffer("order", torch.arange(7) % 5)

        def forward(self, x):
            return ((x.half() @ self.table).float()[:, self.order],)

    write_onnx(graph(Mixed()), tmp_path / "step.onnx")
    found = dtypes_found(tmp_path / "step.onnx")
    assert (found["float16"], found["int64"]) == (40, 7)


def test_large_weights_lie_in_a_file_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INLINE_LIMIT", 100)
    write_onnx(graph(Pair()), tmp_path / "step.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step.onnx", "step.onnx.data"]
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in list(tmp_path.glob("step.*")):
        path.rename(moved / path.name)
    x = torch.randn(3, 8)
    found = onnxruntime.InferenceSession(str(moved / "step.onnx")).run(None, {"x": x.numpy()})[0]
    with torch.no_grad():
        assert np.abs(found - Pair()(x)[0].numpy()).max() < 1e-5  # pyright: ignore
