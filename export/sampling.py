"""A model's own sampling loop, run to prove its graphs and to calibrate them."""

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dln.core.models.engine import Engine
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

PROMPTS = 2  # that the whole loop is checked with
CALIBRATION = 4  # prompts whose calls tell int8 its ranges
CALLS = 48  # of each graph that are kept for that


def prompts_for(loaded: "Loaded", count: int) -> list[str]:
    """Prompts that the model can read: captions of the menagerie where it knows their words, else
    a few words of its own; "" for a model without text."""
    if not loaded.spec.text:
        return [""] * count
    import random

    from dln.core.metrics.alignment import draw_prompts

    vocabulary: Any = loaded.model.vocabulary
    drawn = list(draw_prompts(count, seed=1, held_out=False))
    if not any(vocabulary.unknown(prompt) for prompt in drawn):
        return drawn
    rng, words = random.Random(0), vocabulary.words
    return [" ".join(rng.sample(words, min(3, len(words)))) for _ in range(count)]


def check_sampling(loaded: "Loaded", engine: "Engine", precision: str) -> dict[str, Any]:
    """The sampling loop on PyTorch and on `engine`: the same pixels for fp32; for less precise
    graphs every call of the loop within the precision's limits. Raises ParityError."""
    from dln.core.models.engine import TorchEngine
    from dln.core.models.registry import load
    from dln.core.models.request import Request

    from .parity import ParityError, Shadow, compare_sampling

    reference = TorchEngine(loaded.model.graphs())  # pyright: ignore
    sample = load(loaded.spec).sample
    requests = [Request(p, seed=n) for n, p in enumerate(prompts_for(loaded, PROMPTS))]

    def go(request: Request, engine: "Engine") -> Any:
        return sample(engine, loaded.model, request, lambda *_: None)

    if precision == "fp32":
        runs = [compare_sampling(partial(go, request), reference, engine) for request in requests]
        for request, run in zip(requests, runs, strict=True):
            if run["max_level_difference"] > 1:
                raise ParityError(
                    f"sampling {request.prompt!r} differs by {run['max_level_difference']} levels"
                )
        return {"prompts": [r.prompt for r in requests], "clips": runs}
    shadow = Shadow(reference, engine)
    for request in requests:
        go(request, shadow)
    for name, difference in shadow.found.items():
        if broken := difference.broken(precision):
            raise ParityError(f"graph '{name}' while sampling: {broken}")
    calls = {name: difference.report() for name, difference in shadow.found.items()}
    return {"prompts": [request.prompt for request in requests], "calls": calls}


def record_calls(loaded: "Loaded") -> dict[str, list[dict[str, Any]]]:
    """Inputs of each graph while a few prompts are sampled: at most CALLS of each, evenly."""
    from dln.core.models.engine import TorchEngine
    from dln.core.models.registry import load
    from dln.core.models.request import Request

    from .parity import Recorder

    recorder = Recorder(TorchEngine(loaded.model.graphs()), CALLS)  # pyright: ignore
    for number, prompt in enumerate(prompts_for(loaded, CALIBRATION)):
        request = Request(prompt, seed=1000 + number)
        load(loaded.spec).sample(recorder, loaded.model, request, lambda *_: None)
    return recorder.calls


def example_calls(graph: "Graph") -> list[dict[str, Any]]:
    """For graphs that sampling does not use."""
    from dln.core.models.graph import flatten

    from .parity import example

    return [flatten(example(graph, {}, seed)) for seed in range(8)]
