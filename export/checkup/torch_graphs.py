"""Torch's own ways to be faster on this machine: torch.compile and CUDA graphs."""

import os
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from dln.core.errors import DlnError, MissingCapability
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Value, flatten
from dln.core.models.package import load_model

from ..compiled import compiled as whole
from ..parity import Difference, example
from .listed import generators
from .onnx import close, log
from .outcome import Found, Job
from .trt import smallest, weights

WARM = 3  # launches before a capture, in which libraries settle on their kernels
SEEDS = (0, 1)
Call = Callable[[dict[str, Value]], dict[str, Tensor]]


def compiled(job: Job, device: str) -> Found:
    """The smallest graph of all, compiled anew: nothing is taken from a cache of earlier runs."""
    if device == "cuda" and find_spec("triton") is None:
        raise MissingCapability("torch.compile needs Triton on a GPU", "pip install triton")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.folder / f"inductor-{device}")
    loaded, graph = min(smallest(), key=lambda each: weights(each[1]))
    what, found = f"{loaded.about.name}'s graph '{graph.name}'", Difference()
    asked, eager = [example(graph, {}, seed) for seed in SEEDS], TorchEngine({graph.name: graph})
    expected = [eager.run(graph.name, **inputs) for inputs in asked]
    engine = whole(loaded.model.graphs(), device, "fp32")  # the weights move with it
    for inputs, wanted in zip(asked, expected, strict=True):
        found.add(wanted, engine.run(graph.name, **inputs))
    close(f"{what}, compiled", found)
    return Found(f"{what} compiled, error {found.error:.1e}", {"error": found.error})


def cuda_graphs(job: Job) -> Found:
    """Every graph of the bundled generators captured at its typical sizes, and replayed on inputs
    that it has not seen. ParityError where that is not what launches one by one compute, DlnError
    where none can be captured."""
    errors, refused = dict[str, float](), dict[str, str]()
    for about in generators():
        found: dict[str, Graph] = load_model(about.name).model.graphs()  # pyright: ignore
        for graph in found.values():
            name = f"{about.name}-{graph.name}"
            try:
                difference = replayed(graph)
            except RuntimeError as error:  # what waits for the GPU, or reads from the host
                refused[name] = str(error).splitlines()[0]
                log(f"{name}: {error}")
                continue
            close(f"{about.name}'s graph '{graph.name}', replayed", difference)
            errors[name] = difference.error
    if not errors:
        raise DlnError(f"no graph can be captured: {next(iter(refused.values()))}")
    told = f"{len(errors)} graphs captured and replayed, error {max(errors.values()):.1e}"
    told += f"; not captured: {', '.join(refused)}" if refused else ""
    return Found(told, {"errors": errors, "refused": refused})


def replayed(graph: Graph) -> Difference:
    """Its replay against torch's own launches."""
    engine = TorchEngine({graph.name: graph}, "cuda")
    first, second = (example(graph, {}, seed) for seed in SEEDS)
    replay, found = captured(graph, first), Difference()
    for inputs in (second, first):
        found.add(engine.run(graph.name, **inputs), replay(inputs))
    return found


def captured(graph: Graph, inputs: dict[str, Value]) -> Call:
    """The graph's launches as one CUDA graph, on tensors of its own of these shapes."""
    held = {name: on_gpu(value) for name, value in inputs.items()}
    beside, current = torch.cuda.Stream(), torch.cuda.current_stream()
    beside.wait_stream(current)
    with torch.no_grad(), torch.cuda.stream(beside):
        for _ in range(WARM):
            graph.module(**held)
    current.wait_stream(beside)
    launches = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(launches):
        made = graph.module(**held)

    def replay(given: dict[str, Value]) -> dict[str, Tensor]:
        places = flatten(held)
        for name, tensor in flatten(given).items():
            places[name].copy_(tensor)
        launches.replay()
        return {n: t.clone() for n, t in zip(graph.outputs, made, strict=True)}

    return replay


def on_gpu(value: Value) -> Value:
    """Copies there."""
    if isinstance(value, Tensor):
        return value.to("cuda", copy=True)
    return [part.to("cuda", copy=True) for part in value]
