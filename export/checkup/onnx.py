"""ONNX Runtime on this machine: the provider that was asked for, and torch's numbers."""

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dln.core.errors import DlnError, MissingCapability
from dln.core.generation.generate import generate
from dln.core.models.engine import Engine, TorchEngine
from dln.core.models.package import Loaded, load_model

from ..engines import OnnxEngine, onnx_engine
from ..manifest import read_manifest
from ..open import fill, is_current, kept_folder, wanted_of
from ..parity import Difference, ParityError
from ..runtime import require_onnxruntime
from ..sampling import asked_of
from ..wrapped import Shadow
from .listed import generators
from .outcome import Found, Job

LEAST_DB = 65.0  # of the worst call: float32 has 79 and more, half precision 62 at most
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
CUDA_LIBRARIES = "pip install 'onnxruntime-gpu[cuda,cudnn]'"


def computed(job: Job, device: str) -> Found:
    """All graphs of the bundled generators in ONNX Runtime, as their sampling loops call them."""
    numbers = {}
    for about in generators():
        loaded = load_model(about.name)
        engine = on_provider(exported(loaded), device)
        numbers[about.name] = held(loaded, engine) | {"providers": engine.providers()}
        obtained(engine.providers(), PROVIDERS[device])
    told = (f"{name} {rows['calls']} calls, {rows['snr_db']:.0f} dB and more"
            for name, rows in numbers.items())  # fmt: skip
    return Found(f"{PROVIDERS[device]} asked for and got; {', '.join(told)}", numbers)


def exported(loaded: Loaded) -> Path:
    """The export of these weights in the user's cache, made where there is none."""
    wanted = wanted_of(loaded.about.name, loaded.sha256, "fp32", trt=False)
    kept = kept_folder(loaded, "fp32")
    if not is_current(kept, wanted):
        fill(kept, loaded, wanted, log)
    return kept


def log(text: str) -> None:
    print(text, file=sys.stderr)


def on_provider(folder: Path, device: str) -> OnnxEngine:
    """MissingCapability, with the library that does not load, where the device is not obtained."""
    engine = onnx_engine(folder, device)
    if device == "cuda":
        graph = next(iter(read_manifest(folder)["graphs"]))
        if PROVIDERS[device] not in engine.session(graph).get_providers():
            raise MissingCapability(f"CUDA was asked for and not obtained{unloaded()}",
                                    CUDA_LIBRARIES)  # fmt: skip
    return engine


def unloaded() -> str:
    """Why the CUDA provider does not load, in the system's words, as the end of a sentence."""
    place = Path(str(require_onnxruntime().__file__)).parent / "capi"
    for file in sorted(place.glob("*onnxruntime_providers_cuda*")):
        try:
            ctypes.CDLL(str(file))
        except OSError as error:
            return f": {error}"
    return ""


def obtained(providers: Mapping[str, list[str]], wanted: str) -> None:
    """DlnError for a graph that another provider was given first."""
    for graph, got in providers.items():
        if got[:1] != [wanted]:
            raise DlnError(f"{wanted} was asked for and graph '{graph}' got {', '.join(got)}")


def held(loaded: Loaded, engine: Engine) -> dict[str, Any]:
    """The model's proof requests, every call on torch's CPU and on `engine`: the worst of them.
    ParityError for a call that is none of float32."""
    shadow = Shadow(TorchEngine(loaded.model.graphs()), engine)  # pyright: ignore
    with asked_of(loaded) as asked:
        for _, request in asked:
            generate(loaded, request, engine=shadow)
    for name, difference in shadow.found.items():
        close(f"{loaded.about.name}'s graph '{name}'", difference)
    found = shadow.found.values()
    return {"calls": sum(each.runs for each in found), "snr_db": min(e.snr_db for e in found),
            "error": max(e.error for e in found)}  # fmt: skip


def close(what: str, found: Difference) -> None:
    """ParityError for less than LEAST_DB, or for another integer."""
    if found.snr_db < LEAST_DB or found.differing:
        odd = f", {found.differing:.1%} of the integers differ" if found.differing else ""
        raise ParityError(f"{what}: {found.snr_db:.1f} dB, and {LEAST_DB:.0f} are float32's{odd}")
