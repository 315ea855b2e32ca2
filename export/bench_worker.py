"""The process that measures one engine: `python -m dln.export.bench_worker`, a request on stdin.

The answer goes into the file that the request names, since libraries print on stdout.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dln.core.errors import DlnError, UsageError
from dln.core.files import write_json
from dln.core.generation.generate import generate
from dln.core.models.engine import Engine, pick_device
from dln.core.models.graph import Graph, Value
from dln.core.models.package import Loaded, load_model
from dln.core.models.request import Request
from dln.core.training.speed import matrix_rate, waiter

from .bench_energy import metered
from .bench_limits import Signature, signature, streaming_rate, workload
from .precision import HALF
from .sampling import prompts_for
from .wrapped import Wrapped

BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}  # of a number, by --precision


class TimingEngine(Wrapped):
    """An engine that takes the time of each call: seconds[graph] in the order of the calls.

    On CUDA a call ends when its outputs are there, which the loop waits for anyway.
    """

    def __init__(self, engine: Engine, wait: Callable[[], None] = lambda: None) -> None:
        super().__init__(engine)
        self.seconds: dict[str, list[float]] = {}
        self._wait = wait

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        self._wait()
        start = time.perf_counter()
        outputs = self._engine.run(graph, **inputs)
        self._wait()
        self.seconds.setdefault(graph, []).append(time.perf_counter() - start)
        return outputs


class CountingEngine(Wrapped):
    """An engine that counts the calls of each graph by the shapes of their inputs."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.calls: dict[str, Counter[Signature]] = {}

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        self.calls.setdefault(graph, Counter())[signature(inputs)] += 1
        return self._engine.run(graph, **inputs)


def measure(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Times, memory, energy and the machine's own rates for the engine asked for.

    clips_s: seconds of each clip; calls_s[graph][clip]: seconds of its calls; work: see limits().
    """
    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    loaded = load_model(asked["model"])
    if not loaded.about.generates:
        raise UsageError(f"{loaded.about.name} makes no clips to measure", hint="dln models list")
    device, notes, threads = pick_device(asked["device"]), [], torch.get_num_threads()
    start = time.perf_counter()
    engine = create(asked["engine"], loaded, device, asked["precision"], notes.append)
    prepared = time.perf_counter() - start
    request = Request(prompt=prompt_of(loaded, asked["prompt"]), seed=asked["seed"])
    calls = warm_up(engine, loaded, request, asked["warmup"])
    # ONNX Runtime may have fallen back to the CPU.
    device = str(getattr(engine, "device", device))
    timed = time_clips(engine, loaded, request, asked["runs"], waiter(device))
    torch.set_num_threads(threads)  # an engine may have taken them; the machine's rates need them
    return {
        "engine": asked["engine"],
        "prompt": request.prompt,
        "device": device_name(device),
        "threads": threads,
        "prepare_s": prepared,
        "notes": notes,
        **timed,
        **peak_memory(device, asked["engine"]),
        **limits(loaded.model.graphs(), calls, device, asked["precision"]),  # pyright: ignore
    }


def prompt_of(loaded: Loaded, asked: str | None) -> str:
    """What the clips show: as asked, else what the model can read; "" for one without text."""
    if asked is None or not loaded.about.text:
        (asked,) = prompts_for(loaded, 1)
    return asked


def create(name: str, loaded: Loaded, device: str, precision: str, on_note) -> Engine:
    """The engine called `name`. Raises MissingCapability where it is not here."""
    if name == "torch-compile":
        from .compiled import compiled

        return compiled(loaded.model.graphs(), device, precision)
    from .open import open_engine

    return open_engine(name, loaded, device=device, precision=precision, on_note=on_note)


def warm_up(
    engine: Engine, loaded: Loaded, request: Request, clips: int
) -> dict[str, Counter[Signature]]:
    """Make clips that no clock watches; return the shapes of one clip's calls."""
    for _ in range(clips):
        counting = CountingEngine(engine)
        generate(loaded, request, engine=counting)
    return counting.calls


def time_clips(
    engine: Engine, loaded: Loaded, request: Request, runs: int, wait: Callable[[], None]
) -> dict[str, Any]:
    """Make `runs` clips by the clock, and meter the energy that they take together."""
    clips, calls, frames = [], {}, 0
    with metered() as energy:
        for _ in range(runs):
            timing = TimingEngine(engine, wait)
            start = time.perf_counter()
            frames = len(generate(loaded, request, engine=timing).clip.frames)
            clips.append(time.perf_counter() - start)
            for graph, seconds in timing.seconds.items():
                calls.setdefault(graph, []).append(seconds)
    found = {"joules": energy.joules, "source": energy.source}
    return {"clips_s": clips, "frames": frames, "calls_s": calls, "energy": found}


def limits(
    graphs: Mapping[str, Graph],
    calls: Mapping[str, Counter[Signature]],
    device: str,
    precision: str,
) -> dict[str, Any]:
    """The machine's matrix-product rate; for each graph its work, shape by shape as [calls a clip,
    floating-point operations, bytes read], and the rate at which a call's bytes can be streamed."""
    wait, large = waiter(device), device != "cpu"
    # A CPU computes in float32 whatever the graph stores.
    dtype = HALF.get(precision, torch.float32) if large else torch.float32
    size, small = 4096 if large else 1024, BYTES[precision] / BYTES["fp32"]
    work: dict[str, Any] = {}
    for name, counts in calls.items():
        done = workload(graphs[name].module.to(device), counts, device)
        shapes = [(times, one.flop, round(one.read_bytes * small)) for times, one in done]
        usual = shapes[0][2]  # the most frequent shape comes first
        work[name] = {
            "shapes": shapes,
            "streaming_bytes_per_s": streaming_rate(usual, device, wait),
        }
    rate = matrix_rate(size, device, dtype, wait)
    named = str(dtype).removeprefix("torch.")
    return {"work": work, "matrix_flop_per_s": rate, "matrix_size": size, "matrix_dtype": named}


def device_name(device: str) -> str:
    """ "cpu", or the GPU with its name."""
    if not device.startswith("cuda"):
        return device
    return f"{device} ({torch.cuda.get_device_name(device)})"


def peak_memory(device: str, engine: str) -> dict[str, int | None]:
    """Bytes that this process ever held at once, and on the GPU those of torch; None where there
    is no GPU or the engine allocates by itself."""
    ours = device.startswith("cuda") and engine.startswith("torch")
    on_gpu = torch.cuda.max_memory_allocated(device) if ours else None
    return {"peak_memory_bytes": peak_resident(), "peak_gpu_memory_bytes": on_gpu}


def peak_resident() -> int | None:
    """The peak of resident memory in bytes; None on Windows."""
    try:
        # Not getrusage on Linux: its peak is inherited from whoever started the process.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> int:
    """Answer one request; an error of ours is an answer, a bug a traceback."""
    asked, code = json.load(sys.stdin), 0
    try:
        answer = measure(asked)
    except DlnError as error:
        code = error.exit_code
        answer = {"error": {"message": error.message, "hint": error.hint, "code": code}}
    write_json(asked["result"], answer)
    return code


if __name__ == "__main__":
    sys.exit(main())
