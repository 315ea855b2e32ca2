"""Graphs of the weights that come along: ONNX files without their weights, proven when those were
made (packing). Their first use lays the weights in, which takes a second, and traces nothing."""

import ast
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.files import atomic_write, sha256_file
from dln.core.models.locate import bundled
from dln.core.models.registry import MODELS

from .manifest import FILE

if TYPE_CHECKING:
    from torch import Tensor

    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

DAMAGE = (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile)  # of a kit
_FOLDERS = re.compile(r"dln\.core\.models\.\w+\.\w")  # of a model, or layers/
_WRITING = ("dln.core.models.graph", "dln.export.axes", "dln.export.onnx")


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
        from google.protobuf.message import DecodeError

        try:
            with zipfile.ZipFile(self._path) as file:
                model = onnx.ModelProto.FromString(file.read(f"{graph.name}.onnx"))
            entry, tensors = self.manifest["graphs"][graph.name], dict(tensors_of(graph))
            for stored in model.graph.initializer:
                if stored.data_location == onnx.TensorProto.EXTERNAL:
                    _lay_in(stored, tensors)
        except (*DAMAGE, DecodeError):
            return None
        with atomic_write(path) as file:
            file.write(model.SerializeToString())
        return entry if sha256_file(path) == entry["sha256"] else None


def kit_of(loaded: "Loaded") -> Kit | None:
    """The kit of weights that come along, where it is of these weights and of today's code."""
    path = kit_path(loaded.about.name) if loaded.bundled else None
    if path is None or not path.is_file():
        return None
    try:
        kit = Kit(path)
        told = kit.manifest["weights_sha256"], kit.manifest["code"]
    except DAMAGE:
        return None
    return kit if told == (loaded.sha256, graph_code(loaded)) else None


def kit_path(model: str) -> Path:
    """Beside the weights of a model's name, own ones or those that hold it."""
    path, own = bundled(MODELS[model]), MODELS[model].bundled
    return path.with_suffix(".graphs.zip" if own else f".{model}.graphs.zip")


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


def graph_code(loaded: "Loaded") -> str:
    """A hash of the code that decides the graphs of a model: of the modules that its networks are
    defined in, of what those import among the models, and of what writes a graph."""
    graphs = loaded.model.graphs()  # pyright: ignore
    layers = [layer for graph in graphs.values() for layer in graph.module.modules()]
    wanted = {type(each).__module__ for each in (loaded.model, *layers)}
    found: dict[str, bytes] = {}
    while wanted := set(filter(_FOLDERS.match, wanted)) - found.keys():
        for name in sorted(wanted):
            found[name] = source_of(name)
        wanted = {other for name in wanted for other in imported(name, found[name])}
    found |= {name: source_of(name) for name in _WRITING}
    digest = hashlib.sha256()
    for name, code in sorted(found.items()):
        digest.update(name.encode() + b"\0" + code)
    return digest.hexdigest()


def source_of(module: str) -> bytes:
    """The code of a module that is loaded, or could be; line ends as Unix has them."""
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_bytes().replace(b"\r\n", b"\n")


def imported(module: str, code: bytes) -> Iterator[str]:
    """The modules of the models that the code of one imports where it is loaded."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = resolve_name("." * node.level + (node.module or ""), module.rpartition(".")[0])
            names = [f"{base}.{alias.name}" for alias in node.names]
            modules = [name for name in names if _FOLDERS.match(name) and _is_module(name)]
            yield from modules or [base]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what is taken from a module is none
        return False
