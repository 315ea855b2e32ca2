"""A CogVideo of a few thousand weights, written and exported once for all tests of a process."""

import io
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from dln.cli.main import run
from dln.core.data import open_source
from dln.core.models.cogvideo.config import Config
from dln.core.models.cogvideo.model import Model
from dln.core.models.cogvideo.tokenizer import TokenizerConfig
from dln.core.models.graph import Graph, Range
from dln.core.models.package import Loaded, load_model, save_model
from dln.core.text.vocabulary import Vocabulary

TOY = Config(
    image_size=16,
    text_length=8,
    width=32,
    layers=2,
    heads=2,
    window=2,
    image_position=8,
    positions=12,
    tokenizer=TokenizerConfig(
        codebook_size=50,
        code_dim=4,
        encoder_widths=(8, 8, 8),
        decoder_widths=(8, 8, 8),
        encoder_blocks=(1, 1, 1),
        decoder_blocks=(1, 1, 1),
        clusters=7,
    ),
)
NAMES = ("text", "image", "decode", "encode", "keyframes", "interpolation")


def build(seed: int = 0) -> Model:
    """The toy with weights large enough that every part of it changes what comes out."""
    torch.manual_seed(seed)
    model = Model(TOY, Vocabulary(open_source("menagerie", count=6).words()))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


@cache
def place() -> Path:
    """A folder of this process, named as a run is; gone when the process ends."""
    keep = tempfile.TemporaryDirectory(prefix="dln-toy-")
    _kept.append(keep)
    (Path(keep.name) / "toy").mkdir()
    return Path(keep.name) / "toy"


_kept: list[tempfile.TemporaryDirectory] = []


@cache
def weights() -> Path:
    """The toy's model file."""
    save_model(place() / "model.safetensors", build(), {"model": "cogvideo"})
    return place() / "model.safetensors"


def loaded() -> Loaded:
    """A model of its own for each caller."""
    return load_model(weights())


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
def exported() -> Exported:
    """All graphs in fp32, by the console's own command."""
    folder, out = place() / "export", io.StringIO()
    with redirect_stdout(out):
        code = run(["export", str(weights()), "--out", str(folder), "--json"])
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
    module: Any = SimpleNamespace(graphs=lambda: {graph.name: graph for graph in graphs})
    return replace(toy, model=module, about=replace(toy.about, gives=None), sha256=sha256)
