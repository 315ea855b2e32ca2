"""A model's own sampling loop, run to prove its graphs and to calibrate them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dln.core.media.clip import Clip
    from dln.core.models.engine import Engine
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded
    from dln.core.models.request import Request

PROMPTS = 2  # that the whole loop is checked with
CALIBRATION = 4  # prompts whose calls tell int8 its ranges
CALLS = 48  # of each graph that are kept for that


def prompts_for(loaded: "Loaded", count: int) -> list[str]:
    """Prompts that the model can read: captions of the menagerie where it knows their words, else
    a few words of its own; "" for a model without text."""
    if not loaded.about.text:
        return [""] * count
    import random

    from dln.core.generation.generate import FUNCTION_WORDS
    from dln.core.metrics.alignment import draw_prompts

    reader = loaded.model.reader
    assert reader is not None
    drawn = list(draw_prompts(count, seed=1, held_out=False))
    if not any(reader.unknown(prompt) for prompt in drawn):
        return drawn
    # Words that name nothing are no prompt by themselves.
    words = [word for word in reader.words if word not in FUNCTION_WORDS]
    rng = random.Random(0)
    return [" ".join(rng.sample(words, min(3, len(words)))) for _ in range(count)]


def check_sampling(loaded: "Loaded", engine: "Engine", precision: str) -> dict[str, Any]:
    """The sampling loop on PyTorch and on `engine`: the same pixels for fp32; for less precise
    graphs every call of the loop within the precision's limits. Raises ParityError."""
    from dln.core.models.engine import TorchEngine
    from dln.core.models.request import Request

    reference = TorchEngine(loaded.model.graphs())  # pyright: ignore
    requests = [Request(p, seed=n) for n, p in enumerate(prompts_for(loaded, PROMPTS))]
    record = {"prompts": [request.prompt for request in requests]}
    if precision == "fp32":
        return record | {"clips": [_same(loaded, r, reference, engine) for r in requests]}
    return record | {"calls": _calls(loaded, requests, reference, engine, precision)}


def _same(
    loaded: "Loaded", request: "Request", reference: "Engine", engine: "Engine"
) -> dict[str, Any]:
    """What one clip shows. ParityError for pixels that differ by more than one level."""
    from .parity import ParityError
    from .wrapped import compare_sampling

    found = compare_sampling(lambda runner: _clip(loaded, request, runner), reference, engine)
    if found["max_level_difference"] > 1:
        what = f"{request.prompt!r}" if request.prompt else f"seed {request.seed}"
        raise ParityError(f"sampling {what} differs by {found['max_level_difference']} levels")
    return found


def _calls(
    loaded: "Loaded",
    requests: Sequence["Request"],
    reference: "Engine",
    engine: "Engine",
    precision: str,
) -> dict[str, Any]:
    """The worst of each graph's calls. ParityError for one outside the precision's limits."""
    from .parity import ParityError
    from .wrapped import Shadow

    shadow = Shadow(reference, engine)
    for request in requests:
        _clip(loaded, request, shadow)
    for name, difference in shadow.found.items():
        if broken := difference.broken(precision):
            raise ParityError(f"graph '{name}' while sampling: {broken}")
    return {name: difference.report() for name, difference in shadow.found.items()}


def _clip(loaded: "Loaded", request: "Request", engine: "Engine") -> "Clip":
    from dln.core.generation.generate import generate

    return generate(loaded, request, engine=engine).clip


def record_calls(loaded: "Loaded") -> dict[str, list[dict[str, Any]]]:
    """Inputs of each graph while a few prompts are sampled: at most CALLS of each, evenly."""
    from dln.core.models.engine import TorchEngine
    from dln.core.models.request import Request

    from .wrapped import Recorder

    recorder = Recorder(TorchEngine(loaded.model.graphs()), CALLS)  # pyright: ignore
    for number, prompt in enumerate(prompts_for(loaded, CALIBRATION)):
        _clip(loaded, Request(prompt, seed=1000 + number), recorder)
    return recorder.calls


def example_calls(graph: "Graph") -> list[dict[str, Any]]:
    """For graphs that sampling does not use."""
    from dln.core.models.graph import flatten

    from .parity import example

    return [flatten(example(graph, {}, seed)) for seed in range(8)]
