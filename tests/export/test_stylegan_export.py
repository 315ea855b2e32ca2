"""StyleGAN-V's graphs as files: precisions, readiness, and a program that has nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

sys.path.append(str(Path(__file__).parent))
from test_third_party import levels_apart, made
from toy_export import config

from dln.core.generation.generate import generate
from dln.core.models.graph import Graph
from dln.core.models.package import Loaded, load_model, save_model
from dln.core.models.registry import find, load
from dln.core.models.request import Request
from dln.export.bundle import Export, ExportOptions
from dln.export.engines import OnnxEngine
from dln.export.manifest import read_manifest
from dln.export.onnx import write_onnx
from dln.export.precision import HalfEngine
from dln.export.readiness import check_table

NAME = "stylegan-v"
GRAPHS = ("mapping", "motion", "synthesis")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Weights as training begins with, whose motion is not too small to be seen."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("own") / "model.safetensors"
    save_model(path, load(find(NAME)).Model(config(NAME)), {"model": NAME})
    return load_model(path)


def export(loaded: Loaded, folder: Path, precision: str, check: bool) -> Path:
    Export(loaded, folder, ExportOptions(precision, check), lambda stage: None).run()
    return folder


@pytest.fixture(scope="module")
def whole(own: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(own, tmp_path_factory.mktemp("whole") / "export", "fp32", check=False)


def test_large_frames_are_exported_too(tmp_path: Path):
    """Of which a cache holds not even one: their number varies all the same."""
    large = replace(config(NAME), side=256, channel_base=256, channel_max=2)
    graph = load(find(NAME)).Model(large).graphs()["synthesis"]
    write_onnx(graph, tmp_path / "large.onnx")
    assert OnnxEngine({"synthesis": tmp_path / "large.onnx"}, "cpu").run(
        "synthesis", **graph.inputs(frames=1)
    )["pixels"].shape == (1, 3, 256, 256)


@pytest.mark.parametrize("name", GRAPHS)
def test_tensorrt_finds_nothing(name: str, whole: Path):
    assert check_table(whole / "onnx" / f"{name}.onnx") == []


def test_a_program_of_its_own_makes_the_clip(own: Loaded, whole: Path, tmp_path: Path):
    """From what the manifest says alone: seeds of noise, anchors, where the clock starts anew."""
    found = made("stylegan_v.py", whole, "", 3, tmp_path / "clip.png")
    expected = generate(own, Request(seed=3), device="cpu").clip
    assert levels_apart(found, expected.frames) <= 1
    assert levels_apart(found[:1], found[100:101]) > 20


def test_half_precision_leaves_in_float32_what_needs_it(own: Loaded, tmp_path: Path):
    """Waves of a thousand radians, demodulation, and the sum of the pictures."""
    folder = export(own, tmp_path / "export", "fp16", check=True)
    graphs = read_manifest(folder)["graphs"]
    assert "float16" not in {*graphs["mapping"]["weights"], *graphs["motion"]["weights"]}
    assert graphs["motion"]["parity"]["error"] < 1e-4
    assert graphs["synthesis"]["parity"]["snr_db"] > 40
    parameters = sum(p.numel() for p in own.model.graphs()["synthesis"].module.parameters())
    motion = sum(p.numel() for p in own.model.graphs()["motion"].module.parameters())
    assert graphs["synthesis"]["weights"]["float16"] >= parameters - motion
    model = onnx.load(str(folder / "onnx" / "synthesis.onnx"))
    types = {v.name: v.type.tensor_type.elem_type
             for v in onnx.shape_inference.infer_shapes(model).graph.value_info}  # fmt: skip
    resized = [node.input[0] for node in model.graph.node if node.op_type == "Resize"]
    assert {types[name] for name in resized} == {onnx.TensorProto.FLOAT}
    roots = [node.input[0] for node in model.graph.node if node.op_type in ("Sqrt", "Rsqrt")]
    assert len(roots) == 2 * len(own.model.config.sides) - 1
    assert {types[name] for name in roots} == {onnx.TensorProto.FLOAT}


def test_what_is_exact_is_in_float32_in_bf16_too(own: Loaded):
    graphs: dict[str, Graph] = own.model.graphs()
    engine = HalfEngine(graphs, "bf16")
    inputs = graphs["motion"].inputs(frames=3)
    inputs["moment"] = inputs["anchor"] + 0.37 + 992  # pyright: ignore
    inputs["anchor"] = inputs["anchor"] + 992  # pyright: ignore
    exact = graphs["motion"].module(**inputs)[0]
    assert np.allclose(engine.run("motion", **inputs)["motion"], exact.detach())
    pixels = engine.run("synthesis", **graphs["synthesis"].inputs())["pixels"]
    assert pixels.dtype == torch.bfloat16
