"""An engine by its name, for weights that are loaded; what it needs is exported first."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dln.core.errors import MissingCapability, UsageError
from dln.core.files import cache_folder

from .bundle import Export, ExportOptions
from .engines import onnx_engine, trt_engine
from .finished import folder_named
from .manifest import FILE, read_manifest

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.package import Loaded

OnNote = Callable[[str], None]


def open_engine(
    name: str,
    loaded: "Loaded",
    device: str = "auto",
    precision: str = "fp32",
    on_note: OnNote = lambda text: None,
    folder: Path | None = None,
) -> "Engine":
    """torch, onnx or trt for `loaded`. folder: an export to take; where left out, ./exports/ is
    looked in, then the user's cache, which is filled where there is none.

    Raises MissingCapability where the engine or the device is not here, DlnError for an export
    whose files have changed, UsageError for one of other weights.
    """
    import torch

    if name == "torch":
        from dln.core.models.engine import torch_engine

        return torch_engine(loaded.model.graphs(), device)
    if name == "trt" and not torch.cuda.is_available():
        raise MissingCapability(
            "TensorRT engines run on an NVIDIA GPU, and there is none here",
            hint="dln generate --engine onnx",
        )
    found = folder or existing(loaded, precision, trt=name == "trt")
    if found is None:
        found = fill_cache(loaded, precision, on_note, trt=name == "trt")
    manifest = read_manifest(found)
    if manifest["weights_sha256"] != loaded.sha256:
        raise UsageError(f"{found} is an export of other weights", hint="dln export --out DIR")
    if manifest["precision"] != precision:
        there = manifest["precision"]
        raise UsageError(f"{found} is in {there}, not {precision}", hint=f"--precision {there}")
    if name == "trt":
        return trt_engine(found, device)
    engine = onnx_engine(found, device)
    if engine.device == "cpu":
        engine.take_threads()
    return engine


def existing(loaded: "Loaded", precision: str, trt: bool) -> Path | None:
    """An export of these weights in the working folder or in the cache."""
    graphs = loaded.model.graphs().keys()  # pyright: ignore
    for folder in (default_folder(loaded, precision), kept_folder(loaded, precision)):
        if not os.path.exists(folder / FILE):
            continue
        manifest = read_manifest(folder)
        same = manifest["weights_sha256"] == loaded.sha256
        whole = graphs <= manifest["engines" if trt else "graphs"].keys()  # none was interrupted
        if same and manifest["precision"] == precision and whole:
            return folder
    return None


def fill_cache(loaded: "Loaded", precision: str, on_note: OnNote, trt: bool) -> Path:
    """Export once into the user's cache."""
    folder = kept_folder(loaded, precision)
    on_note(f"exporting {loaded.about.name} once, about a minute; kept in {folder}")
    options = ExportOptions(precision=precision, force=True)
    if trt:
        from .tensorrt import choose_backend

        options = replace(options, trt=True, backend=choose_backend("cuda"))
    Export(loaded, folder, options, lambda stage: None).run()
    return folder


def default_folder(loaded: "Loaded", precision: str) -> Path:
    """Where `dln export` writes unless told otherwise."""
    return folder_named(loaded.about.name if loaded.bundled else "", loaded.path, precision)


def kept_folder(loaded: "Loaded", precision: str) -> Path:
    """A folder of the user's cache for these weights."""
    return cache_folder() / "exports" / f"{loaded.about.name}-{loaded.sha256[:12]}-{precision}"
