"""Whether an export is whole already: told without PyTorch, whose import takes longest of all."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dln.core.models.locate import identify, locate, parted, weights_sha256
from dln.core.models.registry import MODELS, known

from .keys import covers, engine_key, graph_key, limited, loop_key
from .manifest import FILE, check_file, read_manifest
from .report import is_current

EXPORTS = Path("exports")


@dataclass(frozen=True)
class Engines:
    """TensorRT engines: built by whom, for what. gpu: of TensorRT's, None of TensorRT-RTX's."""

    backend: str
    capabilities: Sequence[str] = ()
    gpu: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What an export is to hold. model: by its name in the registry; sha256: of its weights;
    batch: the largest, None for the model's own."""

    model: str
    sha256: str
    precision: str
    batch: int | None = None
    engines: Engines | None = None


def folder_named(name: str, weights: Path, precision: str) -> Path:
    """Where `dln export` writes unless told otherwise: exports/cogvideo-fp32; for weights that do
    not come along, named after their folder."""
    place, part = weights.resolve(), parted(name)
    stem = name if name in MODELS else (place if place.is_dir() else place.parent).name
    stem = f"{stem}-{part[0].name}" if part else stem
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

    capabilities: of TensorRT-RTX's engines, None where none are asked for. UsageError for a
    manifest that cannot be read, DlnError where a file has changed since.
    """
    weights = locate(model)
    place = out or folder_named(model, weights, precision)
    if not os.path.exists(place / FILE):
        return None
    manifest = read_manifest(place)
    engines = None if capabilities is None else Engines("tensorrt_rtx", capabilities)
    wanted = Wanted(identify(model).name, weights_sha256(weights), precision, batch, engines)
    if known(manifest["model"]) is None or lacking(manifest, wanted):
        return None
    for entry in (*manifest["graphs"].values(), *manifest["engines"].values()):
        check_file(place, entry)
    return (place, manifest) if is_current(place, manifest) else None


def lacking(manifest: dict[str, Any], wanted: Wanted) -> str | None:
    """The first thing for which an export is not what is wanted, in words; None where it is."""
    if manifest["model"] != wanted.model or manifest["weights_sha256"] != wanted.sha256:
        return "it is of other weights"
    if manifest["precision"] != wanted.precision:
        return f"it is in {manifest['precision']}"
    for name in manifest["names"]:
        if why := _graph_lacking(manifest, name, wanted) or _engine_lacking(manifest, name, wanted):
            return why
    about = known(wanted.model)
    if about and about.generates and manifest["precision"] != "bf16":
        key = loop_key(wanted.model, manifest["graphs"])
        if (manifest["sampling"] or {}).get("key") != key:
            return "its sampling loop is not proven"
    return None


def _graph_lacking(manifest: dict[str, Any], name: str, wanted: Wanted) -> str | None:
    entry = manifest["graphs"].get(name)
    if entry is None:
        return f"graph '{name}' is missing"
    key = graph_key(wanted.model, wanted.sha256, name, wanted.precision, manifest["opset"])
    if entry["key"] != key:
        return f"graph '{name}' was written by other code or other versions"
    if not proven(entry, wanted.batch):
        return f"graph '{name}' is not proven"
    return None


def proven(entry: dict[str, Any], batch: int | None) -> bool:
    """Whether a graph was held against the model at all sizes up to this batch."""
    sizes = (entry["parity"] or {}).get("sizes")
    return isinstance(sizes, dict) and covers(sizes, limited(entry["sizes"], batch))


def _engine_lacking(manifest: dict[str, Any], name: str, wanted: Wanted) -> str | None:
    engines, graph = wanted.engines, manifest["graphs"][name]
    if engines is None:
        return None
    entry = manifest["engines"].get(name)
    if entry is None:
        return f"engine '{name}' is missing"
    key = engine_key(wanted.model, graph["sha256"], engines.backend, engines.capabilities,
                     engines.gpu, limited(graph["sizes"], wanted.batch))  # fmt: skip
    return None if entry["key"] == key else f"engine '{name}' is for another version or GPU"


def gpu_in_sight() -> bool:
    """Any sign of an NVIDIA GPU, for which another engine might be built."""
    return bool(shutil.which("nvidia-smi")) or any(Path("/dev").glob("nvidia[0-9]*"))
