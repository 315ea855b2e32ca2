"""Graphs of the weights that come along, packed beside them without the weights.

    python -m dln.export.packing NAME

exports a model's own weights, with every proof, and writes their kit.
"""

import json
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dln.core.files import atomic_write

from .bundle import Export, ExportOptions
from .kit import graph_code, kit_path, tensors_of
from .manifest import FILE, read_manifest

if TYPE_CHECKING:
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

LEAST_BYTES = 1024  # of a tensor that is left out; smaller ones are part of the computation


def strip(path: Path, graph: "Graph") -> bytes:
    """The file without the tensors that the graph's module holds, as they are or transposed."""
    import onnx

    model, known = onnx.load(str(path)), {}
    for name, tensor in tensors_of(graph):
        turned = [("1", tensor.detach().T)] if tensor.ndim == 2 else []
        for flag, form in [("", tensor.detach()), *turned]:
            known.setdefault(form.contiguous().numpy().tobytes(), (name, flag))
    for stored in model.graph.initializer:
        if len(stored.raw_data) >= LEAST_BYTES and stored.raw_data in known:
            name, turned = known[stored.raw_data]
            stored.ClearField("raw_data")
            stored.data_location = onnx.TensorProto.EXTERNAL
            for key, value in {"location": "weights", "tensor": name, "turned": turned}.items():
                stored.external_data.add(key=key, value=value)
    return model.SerializeToString()


def pack(folder: Path, loaded: "Loaded", path: Path) -> None:
    """Write the kit of an export of `loaded` in fp32."""
    manifest: dict[str, Any] = read_manifest(folder) | {"code": graph_code(loaded)}
    graphs = loaded.model.graphs()  # pyright: ignore
    parts = {FILE: json.dumps(manifest, indent=1).encode()}
    for name, entry in manifest["graphs"].items():
        parts[f"{name}.onnx"] = strip(folder / entry["file"], graphs[name])
    with atomic_write(path) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            # a fixed date: the same graphs give the same bytes
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content,
                          zipfile.ZIP_DEFLATED, 9)  # fmt: skip


def main(name: str) -> None:
    """Export, prove and pack a model that comes with weights."""
    from dln.core.models.package import load_model

    loaded = load_model(name)
    with TemporaryDirectory() as folder:
        Export(loaded, Path(folder), ExportOptions(), print).run()
        pack(Path(folder), loaded, kit_path(name))
    print(kit_path(name))


if __name__ == "__main__":
    main(sys.argv[1])
