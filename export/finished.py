"""Whether an export is whole already: told without PyTorch, whose import takes longest of all."""

import os
import shutil
from pathlib import Path
from typing import Any

from dln.core.files import sha256_file
from dln.core.models.locate import locate
from dln.core.models.registry import MODELS

from .manifest import FILE, check_file, fingerprint, read_manifest, versions

EXPORTS = Path("exports")


def folder_named(name: str, weights: Path, precision: str) -> Path:
    """Where `dln export` writes unless told otherwise: exports/cogvideo-fp32; for weights that do
    not come along, named after their folder."""
    stem = name if name in MODELS else weights.resolve().parent.name
    return EXPORTS / f"{stem}-{precision}"


def finished(
    model: str,
    precision: str,
    batch: int | None,
    out: Path | None,
    capabilities: tuple[str, ...] | None = None,
) -> tuple[Path, dict[str, Any]] | None:
    """The folder and the manifest of a checked export of these weights to which nothing would be
    added; None where that takes a closer look.

    capabilities: of TensorRT-RTX's engines, None where none are asked for. The sampling loop is
    proven last, and forgotten as soon as one graph is written anew: where it stands, all graphs
    do. DlnError where a file has changed since.
    """
    weights = locate(model)
    place = out or folder_named(model, weights, precision)
    if not os.path.exists(place / FILE):
        return None
    manifest = read_manifest(place)
    graphs, now = manifest["graphs"], versions()
    named = manifest["model"]
    loop = loop_key(named, graphs)
    if manifest["precision"] != precision or (manifest["sampling"] or {}).get("key") != loop:
        return None
    sha256 = sha256_file(weights)
    if manifest["weights_sha256"] != sha256:
        return None
    for name, entry in graphs.items():
        key = graph_key(named, sha256, name, precision, manifest["opset"], True, batch, now)
        if entry["key"] != key:
            return None
        check_file(place, entry)
        if capabilities is None:
            continue
        engine = manifest["engines"].get(name, {"key": None})
        if engine["key"] != engine_key(named, entry, "tensorrt_rtx", capabilities):
            return None
        check_file(place, engine)
    return place, manifest


def gpu_in_sight() -> bool:
    """Any sign of an NVIDIA GPU, for which another engine might be built."""
    return bool(shutil.which("nvidia-smi")) or any(Path("/dev").glob("nvidia[0-9]*"))


def graph_key(
    model: str,
    sha256: str,
    graph: str,
    precision: str,
    opset: int,
    check: bool,
    batch: int | None,
    versions: dict[str, str],
) -> str:
    """What the file of one graph depends on. model: by its name in the registry."""
    return fingerprint(model, sha256, graph, precision, opset, check, batch, versions)


def loop_key(model: str, graphs: dict[str, Any]) -> str:
    """What a comparison of the sampling loop depends on. graphs: of the manifest."""
    return fingerprint(model, [entry["sha256"] for entry in graphs.values()])


def engine_key(model: str, entry: dict[str, Any], backend: str, capabilities: Any) -> str:
    """What an engine depends on. entry: of its graph in the manifest."""
    return fingerprint(model, entry["sha256"], backend, capabilities, entry["sizes"])
