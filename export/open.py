"""An engine by its name, for weights that are loaded; what it needs is exported first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dln.core.cache import cache_folder
from dln.core.errors import DlnError, MissingCapability, UsageError, reason_of
from dln.core.installed import has_torch, without_torch
from dln.core.text.shown import in_utf8

from .engines import OnnxEngine, onnx_engine, pick_providers, trt_engine
from .finished import Engines, Wanted, folder_named, lacking
from .host_engine import HostEngine
from .kit import kit_of
from .manifest import FILE, read_manifest
from .runtime import require_onnxruntime

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.package import Loaded
    from dln.core.threads import Load

    from .tensorrt_engine import TensorRTEngine

OnNote = Callable[[str], None]


def open_engine(
    name: str,
    loaded: "Loaded",
    device: str = "auto",
    precision: str = "fp32",
    on_note: OnNote = lambda text: None,
    folder: Path | None = None,
    load: "Load | None" = None,
    traced: bool = True,
) -> "Engine":
    """torch, onnx or trt for `loaded`. folder: an export to take; where left out, ./exports/ is
    looked in, then the user's cache, which is filled where there is none. load: what else this
    machine does, where as many threads of the CPU are to be taken as it leaves free. traced:
    whether what is not there may be exported, which takes minutes.

    Raises MissingCapability where the engine or the device is not here, DlnError for an export
    whose files have changed, UsageError for one of other weights.
    """
    if name == "torch":
        from dln.core.models.engine import torch_engine

        return torch_engine(loaded.model.graphs(), device, load, on_note)
    check_engine(name, device)
    wanted = wanted_of(loaded.about.name, loaded.sha256, precision, trt=name == "trt")
    if folder is not None:
        check_given(folder, wanted, on_note)
        engine = engine_in(folder, name, device, load, on_note)
        engine.graphs = in_utf8(folder)
        return engine
    if not has_torch():
        raise without_torch(f"exporting {loaded.about.name}")
    own = default_folder(loaded, precision)
    if is_current(own, wanted, on_note):
        return engine_in(own, name, device, load, on_note)
    kept = kept_folder(loaded, precision)
    if is_current(kept, wanted):
        try:
            return engine_in(kept, name, device, load, on_note)
        except DlnError as error:
            if not traced and kit_of(loaded) is None:
                raise
            on_note(f"{error.message}: it is written again")
    fill(kept, loaded, wanted, on_note, traced)
    return engine_in(kept, name, device, load, on_note)


def fastest_engine(
    loaded: "Loaded",
    device: str = "auto",
    on_note: OnNote = lambda text: None,
    load: "Load | None" = None,
) -> "Engine":
    """What computes these weights soonest: on the CPU ONNX Runtime, where their graphs are here or
    come along with them, so that nothing is traced; else PyTorch, as also, with a note that says
    why, where ONNX Runtime or the graphs cannot be used. Raises for a device that is not here."""
    from dln.core.models.engine import pick_device, torch_engine

    if pick_device(device) == "cpu":
        try:
            if ready(loaded):
                return open_engine("onnx", loaded, "cpu", on_note=on_note, load=load, traced=False)
        except (DlnError, OSError) as error:
            told = error.message if isinstance(error, DlnError) else reason_of(error)
            on_note(f"PyTorch computes, ONNX Runtime could not: {told}")
    return torch_engine(loaded.model.graphs(), device, load, on_note)


def ready(loaded: "Loaded", precision: str = "fp32") -> bool:
    """Whether graphs of these weights can be run without being traced and proven first."""
    wanted = wanted_of(loaded.about.name, loaded.sha256, precision, trt=False)
    folders = default_folder(loaded, precision), kept_folder(loaded, precision)
    if any(is_current(folder, wanted) for folder in folders):
        return True
    return precision == "fp32" and kit_of(loaded) is not None


def check_engine(name: str, device: str) -> None:
    """MissingCapability where this machine has nothing that runs onnx or trt there."""
    if name == "onnx":
        pick_providers(device, require_onnxruntime().get_available_providers())
        return
    if not has_torch():
        raise without_torch("a TensorRT engine")
    import torch

    if not torch.cuda.is_available():
        raise MissingCapability(
            "TensorRT engines run on an NVIDIA GPU, and there is none here",
            hint="dln generate --engine onnx",
        )


def engine_in(
    folder: Path, name: str, device: str, load: "Load | None", on_note: OnNote
) -> "OnnxEngine | TensorRTEngine":
    """The engine of an export's folder, after a look at its files. DlnError where one differs."""
    if name == "trt":
        return trt_engine(folder, device)
    engine = onnx_engine(folder, device, OnnxEngine if has_torch() else HostEngine)
    if engine.device == "cpu":
        engine.take_threads(load, on_note)
    return engine


def wanted_of(model: str, sha256: str, precision: str, trt: bool) -> Wanted:
    """What an export must be so that these weights can be run with it."""
    engines = None
    if trt:
        from .bundle import gpu_of
        from .tensorrt import DEFAULT_CAPABILITIES, choose_backend

        backend = choose_backend("cuda")
        targets = DEFAULT_CAPABILITIES if backend == "tensorrt_rtx" else ()
        engines = Engines(backend, targets, gpu_of(backend))
    return Wanted(model, sha256, precision, engines=engines)


def check_given(folder: Path, wanted: Wanted, on_note: OnNote) -> None:
    """UsageError for a folder that cannot be run as asked; a note for one of other versions."""
    manifest = read_manifest(folder)
    if manifest["weights_sha256"] != wanted.sha256:
        raise UsageError(f"{folder} is an export of other weights", hint="dln export --out DIR")
    if manifest["precision"] != wanted.precision:
        there = manifest["precision"]
        raise UsageError(f"{folder} is in {there}, not {wanted.precision}",
                         hint=f"--precision {there}")  # fmt: skip
    # Without PyTorch nothing tells by which of its versions graphs are written today.
    if has_torch() and (why := lacking(manifest, wanted)):
        on_note(f"{folder}: {why}")


def is_current(folder: Path, wanted: Wanted, on_note: OnNote = lambda text: None) -> bool:
    """Whether a folder holds what is wanted; a note says why an export of it does not."""
    if not (folder / FILE).exists():
        return False
    try:
        why, cure = lacking(read_manifest(folder), wanted), "dln export goes on with it"
    except UsageError as error:
        why, cure = error.message, str(error.hint)
    if why:
        on_note(f"{folder} is not used: {why}; {cure}")
    return why is None


def fill(
    folder: Path, loaded: "Loaded", wanted: Wanted, on_note: OnNote, traced: bool = True
) -> None:
    """Export once into the user's cache. Another process that is at it is waited for."""
    from .bundle import Export, ExportOptions

    options = ExportOptions(precision=wanted.precision, renew=True, traced=traced)
    if wanted.engines:
        options = replace(options, trt=True, backend=wanted.engines.backend,
                          capabilities=tuple(wanted.engines.capabilities))  # fmt: skip
    on_note(
        f"exporting {loaded.about.name} once; kept in {folder}"
        if traced
        else f"graphs of {loaded.about.name} for ONNX Runtime are kept in {folder}"
    )

    def tell(stage: str) -> None:
        if traced:
            on_note(f"exporting {stage}")

    Export(loaded, folder, options, tell).run()


def default_folder(loaded: "Loaded", precision: str) -> Path:
    """Where `dln export` writes unless told otherwise."""
    return folder_named(loaded.called, loaded.path, precision)


def kept_folder(loaded: "Loaded", precision: str) -> Path:
    """A folder of the user's cache for these weights."""
    return cache_folder() / "exports" / f"{loaded.about.name}-{loaded.sha256[:12]}-{precision}"
