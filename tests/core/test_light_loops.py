"""Sampling loops with an engine of numpy and what a file tells of the model: the same as with
tensors and all of its networks."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

sys.path.append(str(Path(__file__).parents[1]))
from micro import large_cogvideo  # pyright: ignore[reportMissingImports]

from dln.core.errors import DlnError, MissingCapability
from dln.core.generation.generate import generate
from dln.core.models import arrays, package, registry
from dln.core.models.engine import TorchEngine
from dln.core.models.locate import metadata_of
from dln.core.models.package import load_model, load_sampled, save_model
from dln.core.models.request import Request

from . import toy_cogview2, toy_diffusion


class OfNumpy:
    """PyTorch behind an engine that takes and gives arrays of numpy, and nothing else."""

    name, of_numpy = "onnx", True

    def __init__(self, model: Any) -> None:
        self._engine = TorchEngine(model.graphs())

    def run(self, graph: str, **inputs: Any) -> Any:
        for value in inputs.values():
            parts = value if isinstance(value, list) else [value]
            assert all(isinstance(part, np.ndarray) for part in parts), graph
        made = self._engine.run(graph, **arrays.tensors(inputs))
        return {name: tensor.numpy().copy() for name, tensor in made.items()}


MAKERS = {
    "cogvideo": large_cogvideo,
    "cogview2": toy_cogview2.toy,
    "video-diffusion": toy_diffusion.toy,
}


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where PyTorch is not installed."""
    for module in (package, registry):
        monkeypatch.setattr(module, "has_torch", lambda: False)


def picture(folder: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "given.png")
    return str(folder / "given.png")


@pytest.mark.parametrize(
    ("name", "part", "asked"),
    [
        ("cogvideo", "", {"frames": 9}),
        ("cogvideo", "", {"frames": 5, "image": "a picture", "still": 0}),
        ("cogvideo", "cogview2:", {}),
        ("cogview2", "", {"candidates": 2}),
        ("cogview2", "", {"image": "a picture", "mask": "8,8,20,24"}),
        ("video-diffusion", "", {}),
        ("video-diffusion", "", {"frames": 11, "reconstruction": 0.0, "steps": 2}),
        ("video-diffusion", "", {"image": "a picture", "reconstruction": 0.0, "steps": 2}),
    ],
)
def test_a_loop_without_pytorch_makes_the_same_frames(name, part, asked, tmp_path, monkeypatch):
    if "image" in asked:
        asked = asked | {"image": picture(tmp_path)}
    path = tmp_path / "toy.safetensors"
    save_model(path, MAKERS[name](), {"model": name})
    whole, request = load_model(f"{part}{path}"), Request.of("lion drinking", 3, asked)
    wanted = generate(whole, request, device="cpu")
    alone(monkeypatch)
    read = load_sampled(f"{part}{path}")
    assert (read.called, read.sha256, read.about) == (whole.called, whole.sha256, whole.about)
    engine: Any = OfNumpy(whole.model)
    made = generate(read, request, engine=engine)
    assert np.array_equal(made.clip.frames, wanted.clip.frames)


@pytest.mark.parametrize("clusters", [np.zeros(3, np.int64), np.zeros(50, np.float32)])
def test_clusters_that_are_not_of_the_codes_are_damage(clusters, tmp_path, monkeypatch):
    path = tmp_path / "toy.safetensors"
    save_model(path, toy_cogview2.toy(), {"model": "cogview2"})
    tensors = load_file(path) | {"tokenizer.clusters": clusters}
    save_file(tensors, path, {"dln": str(metadata_of(path)["dln"])})
    alone(monkeypatch)
    with pytest.raises(DlnError, match=r"damaged.*tokenizer\.clusters"):
        load_sampled(path)


def test_what_no_loop_of_numpy_is_there_for_says_so(monkeypatch):
    alone(monkeypatch)
    with pytest.raises(MissingCapability, match="sampling nuwa-infinity takes PyTorch"):
        load_sampled("nuwa-infinity")


def test_arrays_cross_in_the_kind_that_the_engine_takes():
    """Tensors share the memory of arrays that can be written; a view that cannot is copied."""
    rows, wide = np.arange(4), np.broadcast_to(np.float32(1), (2, 3))
    there = arrays.tensors({"rows": rows, "parts": [wide, torch.ones(2)]})
    rows[0] = 9
    assert there["rows"].tolist() == [9, 1, 2, 3]
    there["parts"][0][0] = 5
    assert wide[0, 0] == 1
    assert arrays.on_host(torch.ones(2, dtype=torch.float16)).dtype == np.float32
    assert arrays.on_host(np.ones(2, np.float16)).dtype == np.float32
    assert arrays.on_host(torch.arange(2)).dtype == np.int64
    for like in (torch.ones(1, dtype=torch.float16), np.ones(1, np.float16)):
        assert arrays.on_host(arrays.zeros(like, 2, 3)).tolist() == [[0.0] * 3] * 2
