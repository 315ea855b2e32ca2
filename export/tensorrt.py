"""ONNX graphs to TensorRT engines: one code path for TensorRT and for TensorRT-RTX.

The builder runs in a process of its own (build_worker), because it can crash: a float32 Attention
node was enough. TensorRT times kernels and builds for the GPU of this machine; TensorRT-RTX needs
no GPU, and its engines are finished on the GPU that runs them. Both work with the types of the
graph, so precision is decided when ONNX is written.
"""

import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dln.core.errors import MissingCapability, UsageError
from dln.core.files import disk_errors, fsync_path, make_folder, sha256_file

from .builder import WORKER, Backend, BuildError, Fault, ask, install_hint

if TYPE_CHECKING:
    from dln.core.models.graph import Graph

Shape = tuple[int, ...]

# What TensorRT-RTX 1.7 compiles for. Turing (75) has no float32 matrix products there.
CAPABILITIES = ("75", "80", "86", "89", "120", "121")
DEFAULT_CAPABILITIES = ("80", "86", "89", "120")
HOPPER = "90"
HOPPER_NEEDS = "Hopper needs TensorRT: {}"


@dataclass(frozen=True)
class Profile:
    """{input: (smallest, typical, largest shape)}, for the inputs that vary."""

    shapes: Mapping[str, tuple[Shape, Shape, Shape]] = field(default_factory=dict)

    def axes(self) -> dict[str, list[int]]:
        """The dimensions that vary: {input: [dimension, ...]}."""
        return {
            name: [d for d, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
            for name, shapes in self.shapes.items()
        }


@dataclass(frozen=True)
class BuildRequest:
    """One engine to build.

    capabilities: of the GPUs that a TensorRT-RTX engine is for, DEFAULT_CAPABILITIES when empty;
    one engine holds them all. TensorRT takes none: it builds for the GPU here.
    timing_cache: a file that TensorRT may keep kernel timings in (TensorRT-RTX has none).
    """

    onnx: Path
    engine: Path
    profile: Profile
    backend: Backend
    capabilities: tuple[str, ...] = ()
    timing_cache: Path | None = None
    timeout_s: float = 1800.0


@dataclass(frozen=True)
class Built:
    """An engine file and where it comes from. Its bytes may differ from build to build."""

    engine: Path
    sha256: str
    seconds: float
    log: Path
    backend: Backend
    version: str
    capabilities: tuple[str, ...]
    bytes: int


def profile_of(graph: "Graph") -> Profile:
    """The shapes at the smallest, typical and largest sizes of the inputs that vary."""
    from dln.core.models.graph import flatten

    ends = ("smallest", "typical", "largest")
    sizes = [{name: getattr(r, end) for name, r in graph.sizes.items()} for end in ends]
    shapes = [{n: tuple(t.shape) for n, t in flatten(graph.inputs(**s)).items()} for s in sizes]
    small, typical, large = shapes
    return Profile({name: (small[name], typical[name], large[name]) for name in graph.axes()})


def capabilities(names: Iterable[str]) -> tuple[str, ...]:
    """Compute capabilities as "89", each once, from spellings such as 8.9 and sm_89.

    Raises UsageError for those that TensorRT-RTX does not know.
    """
    plain = [n.strip().lower().removeprefix("sm").strip("_").replace(".", "") for n in names]
    for name in plain:
        if name not in CAPABILITIES:
            raise UsageError(
                f"TensorRT-RTX builds for compute capabilities {', '.join(CAPABILITIES)}, "
                f"not for {name!r}",
                hint=HOPPER_NEEDS.format(install_hint("tensorrt")) if name == HOPPER else None,
            )
    return tuple(dict.fromkeys(plain))


def choose_backend(device: str) -> Backend:
    """TensorRT where there is a GPU for it, else TensorRT-RTX.

    device: as pick_device returns it. Raises MissingCapability where neither can be imported.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu and _imports("tensorrt"):
        return "tensorrt"
    if _imports("tensorrt_rtx"):
        return "tensorrt_rtx"
    raise MissingCapability(
        "neither TensorRT nor TensorRT-RTX can be used here"
        if platform.machine() in ("x86_64", "AMD64")
        else f"there is no TensorRT-RTX for {platform.machine()} machines",
        hint=install_hint("tensorrt" if on_gpu else "tensorrt_rtx"),
    )


def _imports(name: str) -> bool:
    """Whether it really loads: the bindings alone install where the libraries do not."""
    try:
        import_module(name)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def build(request: BuildRequest, command: Sequence[str] = WORKER) -> Built:
    """Build one engine, in a process of its own; its log is kept beside the engine.

    Raises BuildError where the builder refuses, crashes or takes longer than timeout_s,
    UsageError for unknown capabilities or a place that cannot be written, MissingCapability where
    the backend cannot be imported. An engine that was there before stays in all these cases.
    """
    targets = _targets(request)
    make_folder(request.engine.parent)
    log = request.engine.with_name(request.engine.name + ".log")
    start = time.perf_counter()
    with _unfinished(request.engine) as file:
        question = {
            "onnx": str(request.onnx),
            "backend": request.backend,
            "engine": str(file),
            "shapes": dict(request.profile.shapes),
            "capabilities": targets if request.backend == "tensorrt_rtx" else [],
            "timing_cache": _timing_cache(request),
            "timeout_s": request.timeout_s,
        }
        version = ask(command, question, log)
    return Built(
        engine=request.engine,
        sha256=sha256_file(request.engine),
        seconds=time.perf_counter() - start,
        log=log,
        backend=request.backend,
        version=version,
        capabilities=targets,
        bytes=request.engine.stat().st_size,
    )


@contextmanager
def _unfinished(engine: Path) -> Iterator[Path]:
    """A file for another process to write; it becomes the engine when the body succeeds."""
    with (
        disk_errors(engine),
        tempfile.TemporaryDirectory(prefix=".dln-draft-", dir=engine.parent) as folder,
    ):
        file = Path(folder) / engine.name
        yield file
        fsync_path(file)
        os.replace(file, engine)
        fsync_path(engine.parent)


def _targets(request: BuildRequest) -> tuple[str, ...]:
    """The compute capabilities that the engine will run on."""
    if request.backend == "tensorrt_rtx":
        return capabilities(request.capabilities or DEFAULT_CAPABILITIES)
    if request.capabilities:
        raise UsageError(
            "TensorRT builds for the GPU of this machine and takes no compute capability",
            hint="leave --compute-capability out",
        )
    import torch

    if not torch.cuda.is_available():
        raise MissingCapability("TensorRT needs an NVIDIA GPU to build, and there is none here")
    return ("".join(map(str, torch.cuda.get_device_capability())),)


def _timing_cache(request: BuildRequest) -> str | None:
    wanted = request.backend == "tensorrt" and request.timing_cache
    return str(wanted) if wanted else None


def parse(onnx: Path, backend: Backend = "tensorrt_rtx", timeout_s: float = 600.0) -> list[Fault]:
    """What the backend's own parser has against a graph; nothing is built.

    Raises as build does, where the parser itself crashes or takes too long.
    """
    question = {"onnx": str(onnx), "backend": backend, "engine": None, "timeout_s": timeout_s}
    with tempfile.TemporaryDirectory() as folder:
        try:
            ask(WORKER, question, Path(folder) / "parse.log")
        except BuildError as error:
            if not error.faults:
                raise
            return list(error.faults)
    return []
