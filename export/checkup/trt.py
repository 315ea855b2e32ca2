"""TensorRT and TensorRT-RTX on this machine: engines built, run and held against torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dln.core.errors import DlnError, MissingCapability
from dln.core.models.engine import Engine
from dln.core.models.graph import Graph
from dln.core.models.package import Loaded, load_model

from ..builder import TITLES, Backend, BuildError, install_hint
from ..manifest import check_file, read_manifest
from ..parity import check_graph
from ..tensorrt import (
    CAPABILITIES,
    DEFAULT_CAPABILITIES,
    HOPPER_NEEDS,
    BuildRequest,
    Built,
    build,
    profile_of,
)
from .listed import generators
from .onnx import exported, held, log
from .outcome import Found, Job


def rtx_build(job: Job) -> Found:
    """Every graph of the bundled generators, ahead of time: that needs no GPU."""
    engines = [
        built(job, loaded, graph, "tensorrt_rtx")
        for loaded in map(load_model, names())
        for graph in graphs_of(loaded)
    ]
    return Found(*told_of(engines))


def names() -> list[str]:
    return [about.name for about in generators()]


def graphs_of(loaded: Loaded) -> list[Graph]:
    found: dict[str, Graph] = loaded.model.graphs()  # pyright: ignore
    return list(found.values())


def smallest() -> Iterator[tuple[Loaded, Graph]]:
    """The graph with the fewest weights of each bundled generator."""
    for loaded in map(load_model, names()):
        yield loaded, min(graphs_of(loaded), key=weights)


def weights(graph: Graph) -> int:
    return sum(parameter.numel() for parameter in graph.module.parameters())


def told_of(engines: list[Built]) -> tuple[str, dict[str, Any]]:
    """How many, for what and how long, in words and in numbers."""
    first, took = engines[0], sum(each.seconds for each in engines)
    numbers = {each.engine.stem: {"seconds": each.seconds, "bytes": each.bytes} for each in engines}
    title, targets = f"{TITLES[first.backend]} {first.version}", ", ".join(first.capabilities)
    return f"{title}: {len(engines)} engines for {targets} in {took:.1f} s", numbers


def built(job: Job, loaded: Loaded, graph: Graph, backend: Backend) -> Built:
    """One engine in the examination's folder. The builder's log is told where it fails."""
    folder = exported(loaded)
    onnx = check_file(folder, read_manifest(folder)["graphs"][graph.name])
    engine = place(job, loaded, graph, backend)
    targets = rtx_targets() if backend == "tensorrt_rtx" else ()
    try:
        return build(BuildRequest(onnx, engine, profile_of(graph), backend, targets))
    except BuildError as error:
        log(engine.with_name(engine.name + ".log").read_text(errors="replace"))
        raise DlnError(error.message) from error


def place(job: Job, loaded: Loaded, graph: Graph, backend: Backend) -> Path:
    return job.folder / backend / f"{loaded.about.name}-{graph.name}.engine"


def rtx_targets() -> tuple[str, ...]:
    """What engines are built for unless told, and this machine's GPU where it is another one that
    TensorRT-RTX knows."""
    here = capability() if torch.cuda.is_available() else ""
    return tuple(dict.fromkeys((*DEFAULT_CAPABILITIES, *({here} & {*CAPABILITIES}))))


def capability() -> str:
    return "".join(map(str, torch.cuda.get_device_capability()))


def rtx_run(job: Job) -> Found:
    """The engines that rtx-build has left, on this GPU, as the sampling loops call them.
    ParityError for a call that computes something else than torch."""
    if capability() not in CAPABILITIES:
        raise MissingCapability(f"TensorRT-RTX compiles nothing for this GPU, {capability()}",
                                HOPPER_NEEDS.format(install_hint("tensorrt")))  # fmt: skip
    numbers = {}
    for loaded in map(load_model, names()):
        files = {g.name: place(job, loaded, g, "tensorrt_rtx") for g in graphs_of(loaded)}
        numbers[loaded.about.name] = held(loaded, running(files, "tensorrt_rtx"))
    told = (f"{name} {rows['calls']} calls, {rows['snr_db']:.0f} dB and more"
            for name, rows in numbers.items())  # fmt: skip
    return Found(", ".join(told), numbers)


def running(files: dict[str, Path], backend: Backend) -> Engine:
    from ..tensorrt_engine import TensorRTEngine

    return TensorRTEngine(files, backend)


def tensorrt(job: Job) -> Found:
    """The smallest graphs, which build in seconds, at all shapes: the others' turn is when clips
    are timed. ParityError for one that computes something else than torch."""
    numbers, engines = {}, []
    for loaded, graph in smallest():
        engines.append(built(job, loaded, graph, "tensorrt"))
        engine = running({graph.name: engines[-1].engine}, "tensorrt")
        numbers[engines[-1].engine.stem] = check_graph(graph, engine, "fp32").report()
    told, about = told_of(engines)
    errors = ", ".join(f"{name} error {rows['error']:.1e}" for name, rows in numbers.items())
    return Found(f"{told}; {errors}", {"engines": about, "parity": numbers})
