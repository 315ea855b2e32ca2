"""Models of a few thousand weights, written and exported once for all tests of a process."""

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1]))
from micro import enlivened, micro  # pyright: ignore[reportMissingImports]

from dln.cli.main import run
from dln.core.data import open_source
from dln.core.models.graph import Graph, Range
from dln.core.models.package import Loaded, load_model, save_model
from dln.core.models.registry import find, load
from dln.core.runs.build import build as build_model
from dln.core.runs.build import resolve_config

NAMES = ("text", "image", "decode", "encode", "keyframes", "interpolation")  # of CogVideo's graphs


def config(name: str = "cogvideo") -> Any:
    """The model's micro configuration."""
    model, sizes = micro(name)
    spec = find(model)
    return resolve_config(load(spec), spec.default_preset, sizes)


TOY = config()


def build(name: str = "cogvideo", seed: int = 0) -> Any:
    """A model with weights large enough that every part of it changes what comes out."""
    torch.manual_seed(seed)
    source, (about, sizes) = open_source("menagerie", count=6), micro(name)
    model = build_model(find(about), None, sizes, source)
    enlivened(model)
    return model.eval()


@cache
def place(name: str = "cogvideo") -> Path:
    """A folder of this process, named as a run is; gone when the process ends."""
    keep = tempfile.TemporaryDirectory(prefix="dln-toy-")
    _kept.append(keep)
    folder = Path(keep.name) / ("toy" if name == "cogvideo" else name)
    folder.mkdir()
    return folder


_kept: list[tempfile.TemporaryDirectory] = []


@cache
def weights(name: str = "cogvideo") -> Path:
    """The toy's model file."""
    save_model(place(name) / "model.safetensors", build(name), {"model": micro(name)[0]})
    return place(name) / "model.safetensors"


def loaded(name: str = "cogvideo") -> Loaded:
    """A model of its own for each caller."""
    return load_model(weights(name))


@dataclass(frozen=True)
class Exported:
    """What `dln export` wrote, returned and printed."""

    folder: Path
    code: int
    printed: str

    def file(self, graph: str) -> Path:
        return self.folder / "onnx" / f"{graph}.onnx"

    def copy(self, target: Path) -> Path:
        """The same export in another place, to be changed there."""
        return Path(shutil.copytree(self.folder, target))


@cache
def exported(name: str = "cogvideo") -> Exported:
    """All graphs in fp32, by the console's own command."""
    folder, out = place(name) / "export", io.StringIO()
    with redirect_stdout(out):
        code = run(["export", str(weights(name)), "--out", str(folder), "--json"])
    return Exported(folder, code, out.getvalue())


class Pair(nn.Module):
    """A linear map and a normalisation."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """x: (N, 8) -> same."""
        return (self.norm(self.linear(x)),)


class Apply(nn.Module):
    """A function of one tensor."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """x: any shape -> what the function makes of it."""
        return (self.function(x),)


def rows(rows: int) -> dict[str, Any]:
    return {"x": torch.randn(rows, 8)}


def graph(module: nn.Module, name: str = "step", example: Any = rows) -> Graph:
    """x (1 to 9 rows of 8 numbers) -> y."""
    return Graph(name, module, ("y",), example, {"rows": Range(1, 4, 9)})


def model_of(*graphs: Graph, sha256: str = "5" * 64) -> Loaded:
    """A loaded model of nothing but these graphs, which makes no clips."""
    toy = loaded()
    toy.model.graphs = lambda: {graph.name: graph for graph in graphs}
    return replace(toy, about=replace(toy.about, gives=None), sha256=sha256)
