"""LongVideoGAN's graphs as files: what stays in float32, and a program that has nothing else."""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch

sys.path.append(str(Path(__file__).parent))
from test_third_party import levels_apart, made
from toy_export import exported, loaded

from dln.core.generation.generate import generate
from dln.core.models.request import Request
from dln.export.engines import OnnxEngine
from dln.export.graph_files import GraphFiles
from dln.export.readiness import check_table

NAME = "long-video-gan"
GRAPHS = ("latent", "low", "mapping", "super")


def test_tensorrt_finds_nothing():
    for name in GRAPHS:
        assert check_table(exported(NAME).file(name)) == []


def test_convolutions_are_quick_on_a_cpu():
    """In videos there is none, and ONNX Runtime's quick ones take four channels at a time."""
    for name in ("low", "super"):
        graph = onnx.load(exported(NAME).file(name)).graph
        made = onnx.shape_inference.infer_shapes(onnx.load(exported(NAME).file(name))).graph
        shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
                  for value in (*made.value_info, *made.input)}  # fmt: skip
        wide = [shapes[node.input[0]] for node in graph.node
                if node.op_type == "Conv" and shapes[node.output[0]][1] > 3]  # fmt: skip
        assert wide
        assert {len(shape) for shape in wide} <= {3, 4}
        if name == "super":
            assert all(channels % 4 == 0 for _, channels, *_ in wide)


def test_the_filters_of_noise_are_in_no_graph():
    """Which would take double precision: all that goes in and comes out is float32, of one size."""
    for graph in loaded(NAME).model.graphs().values():
        assert not graph.sizes
        tensors = [value for value in graph.inputs().values() if isinstance(value, torch.Tensor)]
        assert {tensor.dtype for tensor in tensors} == {torch.float32}


def test_a_program_of_its_own_makes_the_clip(tmp_path: Path):
    """From what the manifest says alone: filters, seeds of noise, where windows lie."""
    found = made("long_video_gan.py", exported(NAME).folder, "", 3, tmp_path / "clip.png")
    toy = loaded(NAME)
    expected = generate(toy, Request(seed=3), device="cpu").clip
    assert levels_apart(found, expected.frames) <= 1
    assert levels_apart(found[:1], found[100:101]) > 2


def test_a_frame_is_the_same_whatever_clip_asks_for_it_on_onnx_too():
    engine = OnnxEngine({graph: exported(NAME).file(graph) for graph in GRAPHS}, "cpu")
    toy = loaded(NAME)

    def frames(**asked: float) -> np.ndarray:
        return generate(toy, Request.of("", 3, asked), engine=engine).clip.frames

    fps = toy.model.config.fps
    assert np.array_equal(frames(frames=3, start=33 / fps), frames(frames=36)[33:])


def test_small_frames_are_made_in_float32_always():
    toy, precisions = loaded(NAME), ("fp16", "int8")
    kept = {name: [GraphFiles(toy, each, "cpu").precision_of(graph) for each in precisions]
            for name, graph in toy.model.graphs().items()}  # fmt: skip
    whole = ["fp32", "fp32"]
    assert kept == {"latent": whole, "low": whole, "mapping": whole, "super": ["fp16", "int8"]}
