"""Dimensions that are products of two sizes: named in the file, run at sizes no trace has seen."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dln.core.errors import DlnError
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Range
from dln.export import engines
from dln.export.axes import evaluate
from dln.export.engines import OnnxEngine
from dln.export.onnx import formula_of, frozen_axes, tracing_sizes, write_onnx
from dln.export.parity import example
from dln.export.tensorrt import profile_of


class Folded(torch.nn.Module):
    """Frames folded into the batch for the convolution, unfolded for what goes over time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Linear(5, 8)
        self.time = torch.nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x, text):
        """x: (B F, 3, 4, 4), text: (B, 5) -> (B F, 8, 4, 4), the mean of each clip (B, 8), what
        goes over time (B, 8, F), and each frame twice (2 B F, 8)."""
        h = (
            self.image(x).unflatten(0, (text.shape[0], -1))
            + self.text(text)[:, None, :, None, None]
        )
        frames = h.mean((3, 4))
        over_time = self.time(frames.transpose(1, 2))
        twice = torch.cat([frames.flatten(0, 1), frames.flatten(0, 1)])
        return h.flatten(0, 1), frames.mean(1), over_time, twice


def folded() -> Graph:
    def inputs(batch: int, frames: int) -> dict[str, Any]:
        return {"x": torch.randn(batch * frames, 3, 4, 4), "text": torch.randn(batch, 5)}

    sizes = {"batch": Range(1, 2, 4), "frames": Range(1, 3, 9)}
    return Graph("step", Folded(), ("y", "clip", "over_time", "twice"), inputs, sizes)


@pytest.fixture(scope="module")
def folded_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("folded") / "step.onnx"
    write_onnx(folded(), path)
    return path


def test_a_product_of_sizes_is_named_in_the_file(folded_file):
    model = onnx.load(str(folded_file)).graph
    named = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.input, *model.output)
    }
    assert named == {
        "x": ["batch*frames", 3, 4, 4],
        "text": ["batch", 5],
        "y": ["batch*frames", 8, 4, 4],
        "clip": ["batch", 8],
        "over_time": ["batch", 8, "frames"],
        "twice": ["2*batch*frames", 8],
    }
    assert frozen_axes(folded_file, folded()) == []


def test_a_product_of_sizes_runs_at_sizes_that_were_not_traced(folded_file):
    """In ONNX Runtime's own session, and by the engine, which goes from shape to shape."""
    made, names = folded(), list(folded().outputs)
    assert tracing_sizes(made) == {"batch": 2, "frames": 3}
    session = onnxruntime.InferenceSession(str(folded_file))
    engine = OnnxEngine({"step": folded_file}, "cpu")
    for batch, frames in ((1, 1), (1, 6), (3, 1), (4, 9), (3, 5), (1, 1)):
        inputs: Any = example(made, {"batch": batch, "frames": frames}, seed=batch)
        expected = TorchEngine({"step": made}).run("step", **inputs)
        found = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
        again = engine.run("step", **inputs)
        for name, got in zip(names, found, strict=True):
            np.testing.assert_allclose(got, expected[name].numpy(), atol=2e-5)  # pyright: ignore
            torch.testing.assert_close(again[name], expected[name], atol=2e-5, rtol=0)


def test_a_formula_that_is_none_is_refused_before_torch_traces(tmp_path):
    made = folded()
    halves = Graph("step", made.module, made.outputs,
                   lambda batch, frames: made.example(batch=batch // 2, frames=frames),
                   {"batch": Range(2, 2, 9), "frames": Range(1, 3, 9)})  # fmt: skip
    with pytest.raises(DlnError, match=r"^graph 'step': dimension 0 of 'x' is no sum of products"):
        write_onnx(halves, tmp_path / "step.onnx")


def test_tensorrt_s_ranges_of_a_product():
    shapes = profile_of(folded()).shapes
    assert shapes["x"] == ((1, 3, 4, 4), (6, 3, 4, 4), (36, 3, 4, 4))
    assert profile_of(folded()).axes() == {"x": [0], "text": [0]}


def test_formulas_that_torch_writes():
    made = folded()
    symbols = {"s77": "batch*frames", "batch": "batch"}
    for expression, formula in {
        "s77": "batch*frames",
        "batch*((s77//batch))": "batch*frames",
        "(s77//batch) + 2": "frames + 2",
        "frames*batch - 1": "batch*frames - 1",
        "-(-3)*batch": "3*batch",
        "s77//2": "s77//2",  # no sum of products: as torch says it
        "u0": "u0",  # known only after the run
        "Max(1, batch)": "Max(1, batch)",
        "s77**2": "s77**2",
    }.items():
        assert formula_of(expression, symbols, made) == formula


def test_formulas_are_computed():
    sizes = {"batch": 3, "frames": 5}
    assert evaluate("batch + 2*batch*frames - 1", sizes) == 32
    assert evaluate("-batch + 7", sizes) == 4
    assert evaluate("(frames*batch)//4 % 2", sizes) == 1
    assert [evaluate(odd, sizes) for odd in ("rows", "batch +", "batch/2", "1//(batch - 3)")] == (
        [None] * 4
    )


def test_room_for_an_output_is_made_by_its_formula(tmp_path, monkeypatch):
    """Where inputs name both factors: nothing goes by way of the host."""

    class Flat(torch.nn.Module):
        def forward(self, x):
            return (2 * x.flatten(0, 1),)

    def inputs(batch: int, frames: int) -> dict[str, Any]:
        return {"x": torch.randn(batch, frames, 8)}

    made = Graph("step", Flat(), ("y",), inputs, folded().sizes)
    write_onnx(made, tmp_path / "step.onnx")
    engine = OnnxEngine({"step": tmp_path / "step.onnx"}, "cpu")
    monkeypatch.setattr(engines._Bound, "_made", lambda *_: pytest.fail("not made beforehand"))
    for batch, frames in ((2, 5), (4, 1), (1, 9)):
        x = torch.randn(batch, frames, 8)
        assert torch.equal(engine.run("step", x=x)["y"], 2 * x.flatten(0, 1))
