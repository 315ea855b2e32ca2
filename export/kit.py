"""Graphs of the weights that come along: ONNX files without their weights, proven when those were
made (packing). Their first use lays the weights in, which takes a second, and traces nothing."""

import ast
import hashlib
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.files import atomic_write, sha256_file
from dln.core.models.locate import bundled
from dln.core.models.registry import MODELS

from .keys import sources
from .manifest import FILE

if TYPE_CHECKING:
    from torch import Tensor

    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

_OF_EXPORT = ("axes.py", "onnx.py")  # what of the export decides a graph's bytes


class Kit:
    """The packed graphs of one model. manifest: of the export that they come from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as file:
            self.manifest: dict[str, Any] = json.loads(file.read(FILE))

    def write(self, graph: "Graph", path: Path) -> dict[str, Any] | None:
        """Lay the weights of `graph` into its file. Its entry in the manifest, None where what
        comes out is not the file that was proven."""
        import onnx

        with zipfile.ZipFile(self._path) as file:
            model = onnx.ModelProto.FromString(file.read(f"{graph.name}.onnx"))
        tensors = dict(tensors_of(graph))
        for stored in model.graph.initializer:
            if stored.data_location == onnx.TensorProto.EXTERNAL:
                _lay_in(stored, tensors)
        with atomic_write(path) as file:
            file.write(model.SerializeToString())
        entry = self.manifest["graphs"][graph.name]
        return entry if sha256_file(path) == entry["sha256"] else None


def kit_of(loaded: "Loaded") -> Kit | None:
    """The kit of weights that come along, where it is of these weights and of today's code."""
    path = kit_path(loaded.about.name) if loaded.bundled else None
    if path is None or not path.is_file():
        return None
    kit = Kit(path)
    same = kit.manifest["weights_sha256"] == loaded.sha256
    return kit if same and kit.manifest["code"] == graph_code(loaded.about.name) else None


def kit_path(model: str) -> Path:
    """Beside the weights of a model's name."""
    return bundled(MODELS[model]).with_suffix(".graphs.zip")


def tensors_of(graph: "Graph") -> "Iterator[tuple[str, Tensor]]":
    """Parameters and buffers of the graph's module by name."""
    yield from graph.module.named_parameters(remove_duplicate=False)
    yield from graph.module.named_buffers(remove_duplicate=False)


def _lay_in(stored: Any, tensors: "dict[str, Tensor]") -> None:
    told = {item.key: item.value for item in stored.external_data}
    tensor = tensors[told["tensor"]].detach()
    stored.ClearField("external_data")
    stored.ClearField("data_location")
    stored.raw_data = (tensor.T if told["turned"] else tensor).contiguous().numpy().tobytes()


@cache
def graph_code(model: str) -> str:
    """A hash of the code that decides the graphs of a model, whatever its comments say."""
    digest = hashlib.sha256()
    for name, path in sources(model):
        if not name.startswith("export/") or path.name in _OF_EXPORT:
            digest.update(f"{name} {plain(path.read_bytes())}".encode())
    return digest.hexdigest()


def plain(code: bytes) -> str:
    """Code as its syntax tree, without docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            del body[0]  # pyright: ignore
    return ast.dump(tree)
