"""A third party runs our files: a few lines of JavaScript with onnxruntime-node."""

import base64
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

sys.path.append(str(Path(__file__).parent))
from toy_export import exported, loaded

from dln.core.models.engine import TorchEngine
from dln.core.models.graph import flatten
from dln.export.parity import example

SCRIPT = Path(__file__).with_name("run_graph.mjs")
HOW = "npm install --ignore-scripts onnxruntime-node, DLN_NODE_MODULES=.../node_modules"
TYPES = {"float32": np.float32, "int64": np.int64}
GRAPHS: Any = loaded().model.graphs()  # pyright: ignore


@cache
def modules() -> Path | None:
    """The folder that holds onnxruntime-node."""
    places = [os.environ.get("DLN_NODE_MODULES", "")]
    places += os.environ.get("NODE_PATH", "").split(os.pathsep)
    if npm := shutil.which("npm"):
        asked = subprocess.run([npm, "root", "-g"], capture_output=True, text=True)
        places.append(asked.stdout.strip())
    found = (Path(place) for place in places if place)
    return next((place for place in found if (place / "onnxruntime-node").is_dir()), None)


@pytest.fixture
def node() -> str:
    """The program; skips where it or its runtime is not here."""
    found = shutil.which("node")
    if found is None or modules() is None:
        pytest.skip(f"needs node with onnxruntime-node: {HOW}")
    return found


def run_in_node(node: str, file: Path, inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The outputs that a JavaScript program gets from this file."""
    packed = {
        name: {
            "type": str(tensor.dtype).removeprefix("torch."),
            "dims": list(tensor.shape),
            "data": base64.b64encode(tensor.contiguous().numpy().tobytes()).decode(),
        }
        for name, tensor in inputs.items()
    }
    done = subprocess.run(
        [node, str(SCRIPT), str(modules()), str(file)],
        input=json.dumps(packed), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        name: np.frombuffer(base64.b64decode(entry["data"]), TYPES[entry["type"]]).reshape(
            entry["dims"]
        )
        for name, entry in json.loads(done.stdout).items()
    }


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("image", {"batch": 1, "new": 1, "cached": 0}),
        ("image", {"batch": 3, "new": 4, "cached": 9}),
        ("keyframes", {"batch": 2, "new": 5, "spatial": 7, "even": 0, "odd": 12}),
        ("encode", {"batch": 2}),
    ],
)
def test_javascript_gets_our_numbers(name, sizes, node):
    inputs = example(GRAPHS[name], sizes, seed=4)
    found = run_in_node(node, exported().file(name), flatten(inputs))
    expected = TorchEngine(GRAPHS).run(name, **inputs)
    assert list(found) == list(expected)
    for key, want in expected.items():
        assert found[key].shape == want.shape
        if want.is_floating_point():
            peak = max(1.0, float(want.abs().max()))
            assert np.abs(found[key] - want.numpy()).max() < 1e-5 * peak
        else:
            assert np.array_equal(found[key], want.numpy())
    assert torch.cat([want.double().flatten() for want in expected.values()]).std() > 0.1
