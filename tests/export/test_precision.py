"""Half precision and int8: the files hold what was asked for, and the report says what ran."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

sys.path.append(str(Path(__file__).parent))
from toy_export import Pair, graph, loaded, model_of, weights

from dln.cli.main import run
from dln.core.errors import DlnError
from dln.core.files import sha256_file
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Range, flatten
from dln.export import onnx as onnx_files
from dln.export.bundle import Export, ExportOptions
from dln.export.engines import OnnxEngine
from dln.export.manifest import read_manifest
from dln.export.onnx import check_file, write_onnx
from dln.export.parity import ParityError, check_calls, unflatten
from dln.export.precision import HALF, HalfEngine, half, quantize, require_precision
from dln.export.sampling import example_calls, record_calls

GRAPHS: Any = loaded().model.graphs()  # pyright: ignore
CHOSEN = {"step": graph(Pair()), "decode": GRAPHS["decode"]}


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, Path]:
    """A small graph and one of the toy's in each precision."""
    folder = tmp_path_factory.mktemp("precision")
    for precision in ("fp16", "bf16", "int8"):
        options = ExportOptions(precision=precision, batch=4)
        Export(model_of(*CHOSEN.values()), folder / precision, options, lambda stage: None).run()
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("precision", "element"),
    [("fp16", onnx.TensorProto.FLOAT16), ("bf16", onnx.TensorProto.BFLOAT16)],
)
def test_half_files_hold_halves(precision, element, exports):
    folder = exports[precision]
    for name, entry in read_manifest(folder)["graphs"].items():
        model = onnx.load(str(folder / "onnx" / f"{name}.onnx"))
        halves = sum(int(np.prod(t.dims)) for t in model.graph.initializer
                     if t.data_type == element)  # fmt: skip
        weights = sum(p.numel() for p in CHOSEN[name].module.parameters())
        assert halves > 0.7 * weights if name == "step" else halves > 1000
        assert entry["weights"]["bfloat16" if precision == "bf16" else "float16"] == halves
        floats = [*model.graph.input, *model.graph.output]
        kinds = {value.type.tensor_type.elem_type for value in floats}
        assert kinds <= {element, onnx.TensorProto.INT64}


def test_normalisations_stay_in_float32(exports):
    """Their weights too: 8 and 8 of the layer norm, none of the linear map."""
    assert read_manifest(exports["fp16"])["graphs"]["step"]["weights"]["float"] == 16


def test_bf16_is_said_to_be_unexecuted(exports):
    for entry in read_manifest(exports["bf16"])["graphs"].values():
        assert "not" in entry["parity"]["executed"]
        assert entry["parity"]["snr_db"] > 20
    assert (exports["bf16"] / "report.md").read_text().count("itself was not") == 2
    assert "ONNX Runtime" in read_manifest(exports["fp16"])["graphs"]["step"]["parity"]["executed"]


@pytest.mark.parametrize("name", CHOSEN)
def test_int8_files_are_what_tensorrt_takes(name, exports):
    """Static and symmetric, weights stored in int8 with a scale a channel, axes still free."""
    path = exports["int8"] / "onnx" / f"{name}.onnx"
    check_file(path, CHOSEN[name])
    model = onnx.load(str(path))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type.endswith("quantizeLinear")]
    pairs += [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert pairs
    assert all(not stored[node.input[2]].any() for node in pairs)
    assert {stored[node.input[2]].dtype for node in pairs} == {np.dtype(np.int8)}
    matrices = [stored[n.input[0]] for n in pairs if n.input[0] in stored]
    scales = [stored[n.input[1]] for n in pairs if n.input[0] in stored]
    assert matrices
    assert all(values.dtype == np.int8 for values in matrices)
    assert all(scale.size in values.shape for scale, values in zip(scales, matrices, strict=True))
    assert not any("Dynamic" in node.op_type or node.domain for node in model.graph.node)
    assert (model.producer_name, len(model.metadata_props)) == ("dln", 0)
    assert {value.name for value in model.graph.value_info} <= set(stored)
    data = path.read_bytes()
    assert str(exports["int8"]).encode() not in data
    assert re.search(rb"\.py\b|/tmp|site-packages", data) is None


def test_int8_limits_what_is_lost(exports):
    for name, entry in read_manifest(exports["int8"])["graphs"].items():
        assert 15 < entry["parity"]["snr_db"] < 70
        assert entry["weights"]["int8"] >= 64
        size = (exports["int8"] / "onnx" / f"{name}.onnx").stat().st_size
        assert size == entry["bytes"]


def test_products_of_activations_stay_in_float32(tmp_path):
    """Both factors of x W come out of int8, not both of y y^T."""

    class Products(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(8, 8, bias=False)

        def forward(self, x):
            y = self.linear(x)
            return (y @ y.transpose(0, 1),)

    made = graph(Products())
    write_onnx(made, tmp_path / "step.onnx")
    quantize(tmp_path / "step.onnx", example_calls(made))
    model = onnx.load(str(tmp_path / "step.onnx")).graph
    maker = {output: node for node in model.node for output in node.output}
    fed = [
        [maker[name].op_type for name in node.input if name in maker]
        for node in model.node
        if node.op_type in ("MatMul", "Gemm")
    ]
    assert len(fed) == 2
    assert [inputs.count("DequantizeLinear") for inputs in fed].count(2) == 1


class Modulated(torch.nn.Module):
    """A convolution whose weights follow from a style (StyleGAN2, 1912.04958, section 2.2), and
    two maps whose weights are the model's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(8, 4, 3, 3))
        self.style, self.pixels = torch.nn.Linear(16, 4), torch.nn.Conv2d(8, 3, 1)

    def forward(self, x, latent):
        """x: (N, 4, H, W), latent: (N, 16) -> (N, 3, H, W)."""
        weight = self.weight[None] * (1 + self.style(latent))[:, None, :, None, None]
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        made = torch.conv2d(x.flatten(0, 1)[None], weight.flatten(0, 1), padding=1, groups=len(x))
        return (self.pixels(made.unflatten(1, (len(x), -1))[0]),)


def test_computed_weights_stay_in_float32(tmp_path):
    """The modulated convolution multiplies what the graph computed; the maps around it come out of
    int8, and the whole stays close."""

    def inputs(size: int) -> dict[str, Any]:
        return {"x": torch.randn(1, 4, size, size), "latent": torch.randn(1, 16)}

    made = Graph("step", Modulated(), ("y",), inputs, {"size": Range(4, 8, 16)})
    path = tmp_path / "step.onnx"
    write_onnx(made, path)
    calls = example_calls(made)
    quantize(path, calls)
    require_precision(path, "int8")
    model = onnx.load(str(path)).graph
    maker = {output: node.op_type for node in model.node for output in node.output}
    fed = [[maker[n] for n in node.input[:2]] for node in model.node if node.op_type == "Conv"]
    assert len(fed) == 2
    assert [kinds.count("DequantizeLinear") for kinds in fed] == [0, 2]
    linear = [node for node in model.node if node.op_type in ("MatMul", "Gemm")]
    assert [maker[name] for node in linear for name in node.input[:2]] == ["DequantizeLinear"] * 2
    found = check_calls(made, OnnxEngine({"step": path}, "cpu"), "int8", calls)
    assert 20 < found.snr_db < 70


@pytest.mark.parametrize("limit", [100, 10_000])
def test_int8_of_weights_that_lay_in_a_file_of_their_own(limit, tmp_path, monkeypatch):
    """As weights above 1 GiB are written: int8 beside the graph again where they are still above
    the limit, described, and equal to the same graph in one file."""
    made = graph(Large(), example=lambda rows: {"x": torch.randn(rows, 64)})
    options = ExportOptions(precision="int8")
    Export(model_of(made), tmp_path / "one", options, lambda stage: None).run()
    monkeypatch.setattr(onnx_files, "INLINE_LIMIT", limit)
    Export(model_of(made), tmp_path / "two", options, lambda stage: None).run()
    entry = read_manifest(tmp_path / "two")["graphs"]["step"]
    described = {Path(each["file"]).name: each["sha256"] for each in (entry, *entry["data"])}
    assert described == {
        path.name: sha256_file(path) for path in (tmp_path / "two" / "onnx").iterdir()
    }
    assert ("step.onnx.data" in described) == (limit == 100)
    # int8 now, a quarter of what it was
    assert 64 * 64 < sum(each["bytes"] for each in (entry, *entry["data"])) < 2 * 64 * 64
    x = torch.randn(3, 64)
    one, two = (OnnxEngine({"step": tmp_path / name / "onnx" / "step.onnx"}, "cpu").run("step", x=x)
                for name in ("one", "two"))  # fmt: skip
    assert torch.equal(one["y"], two["y"])
    assert entry["calibrated_on"] == "examples"


class Large(torch.nn.Module):
    """A map of 64 numbers, more than a file without data of its own keeps small."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(64, 64, bias=False)

    def forward(self, x):
        return (self.linear(x),)


@pytest.mark.parametrize("name", ["resnet", "recognizer"])
def test_int8_of_a_model_that_judges_can_be_verified(name, tmp_path, capsys):
    out = tmp_path / "export"
    assert run(["export", str(weights(name)), "--precision", "int8", "--out", str(out), "-q"]) == 0
    (entry,) = read_manifest(out)["graphs"].values()
    assert entry["calibrated_on"] == "rendered clips"
    assert run(["verify", str(out), "--model", str(weights(name))]) == 0
    capsys.readouterr()


def test_int8_ranges_come_from_the_calls(tmp_path):
    """Calibrated on small inputs, large ones are clipped: calls of the loop are what counts."""
    made = graph(Pair())
    write_onnx(made, tmp_path / "step.onnx")
    quantize(tmp_path / "step.onnx", ({"x": torch.full((4, 8), 0.01 * n)} for n in range(4)))
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    with pytest.raises(ParityError, match="dB below"):
        check_calls(made, engine, "int8", [{"x": torch.randn(4, 8)}])


def test_calls_of_the_loop_are_kept_with_their_parts():
    calls = record_calls(loaded())
    assert set(calls) == set(GRAPHS)
    assert all(2 <= len(kept) <= 48 for kept in calls.values())
    for name, kept in calls.items():
        whole = unflatten(GRAPHS[name], kept[-1])
        assert set(whole) == set(GRAPHS[name].inputs())
        assert list(flatten(whole)) == list(flatten(GRAPHS[name].inputs()))
        found = check_calls(GRAPHS[name], TorchEngine(GRAPHS), "fp32", kept)
        assert (found.runs, found.error) == (len(kept), 0)
    with pytest.raises(ParityError, match="graph 'image' while sampling: error"):
        check_calls(GRAPHS["image"], HalfEngine(GRAPHS, "bf16"), "fp32", calls["image"])


def test_half_leaves_the_model_alone():
    pair = Pair()
    before = {name: tensor.clone() for name, tensor in pair.state_dict().items()}
    x = torch.randn(3, 8)
    made = half(graph(pair), "fp16")
    assert {t.dtype for t in pair.state_dict().values()} == {torch.float32}
    assert all(torch.equal(before[name], tensor) for name, tensor in pair.state_dict().items())
    assert made.inputs(rows=2)["x"].dtype == HALF["fp16"]  # pyright: ignore
    found = made.module(x.half())[0]
    assert found.dtype == torch.float16
    with torch.no_grad():
        assert 0 < (found - pair(x)[0]).abs().max() < 0.01


def test_an_asked_precision_that_is_not_in_the_file(tmp_path):
    write_onnx(graph(Pair()), tmp_path / "step.onnx")
    assert require_precision(tmp_path / "step.onnx", "fp32") == {"float": 88}
    for precision in ("fp16", "bf16", "int8"):
        with pytest.raises(DlnError, match=rf"asked for in {precision} and holds float only"):
            require_precision(tmp_path / "step.onnx", precision)


def test_a_graph_that_overflows_is_refused_whole(tmp_path):
    """Squares of a thousand in half precision: nothing is left that claims to be an export."""
    made = graph(Wide())
    options = ExportOptions(precision="fp16")
    with pytest.raises(ParityError, match="graph 'step' at rows 1: 'y' holds 8 values that are"):
        Export(model_of(made), tmp_path / "export", options, lambda stage: None).run()
    assert not (tmp_path / "export").exists()


class Wide(torch.nn.Module):
    """(1000 + |x|)^2, scaled by a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(8))

    def forward(self, x):
        return ((x.abs() + 1e3).square() * self.weight,)
