"""A model's own sampling loop, run to prove its graphs and to calibrate them.

The model names what is asked of it (`System.proofs`): between them its requests call every graph.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dln.core.media.clip import Clip
    from dln.core.models.engine import Engine
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded
    from dln.core.models.proof import Proof
    from dln.core.models.request import Request

    Asked = list[tuple[Proof, Request]]

ROUNDS = 2  # of all proof requests, whose calls tell int8 its ranges
CALIBRATION = 1000  # the first seed of those; proofs begin with 0
CALLS = 48  # of each graph that are kept for that
INSPECTED = 8  # calls of a model that judges clips, of two each
SIDE = 64  # pixels of a rendered picture


def prompts_for(loaded: "Loaded", count: int, seed: int = 1) -> list[str]:
    """Prompts that the model can read: captions of the menagerie where it knows their words, else
    a few words of its own; "" for a model without text."""
    if not loaded.about.text:
        return [""] * count
    import random

    from dln.core.metrics.alignment import draw_prompts
    from dln.core.text.reader import FUNCTION_WORDS

    reader = loaded.model.reader
    assert reader is not None
    drawn = list(draw_prompts(count, seed=seed, held_out=False))
    if not any(reader.unknown(prompt) for prompt in drawn):
        return drawn
    # Words that name nothing are no prompt by themselves.
    words = [word for word in reader.words if word not in FUNCTION_WORDS]
    rng = random.Random(seed)
    return [" ".join(rng.sample(words, min(3, len(words)))) for _ in range(count)]


@contextmanager
def asked_of(loaded: "Loaded", first: int = 0, rounds: int = 1) -> Iterator["Asked"]:
    """The model's proof requests, `rounds` times, each with a prompt, a seed (from `first` on) and
    pictures of its own; the pictures' files are gone afterwards."""
    from dln.core.models.registry import load
    from dln.core.models.request import Request

    proofs = list(load(loaded.about).proofs(loaded.model)) * rounds
    prompts = prompts_for(loaded, len(proofs), seed=1 + first)
    with TemporaryDirectory(prefix="dln-proof-") as folder:
        yield [
            (proof, Request.of(prompt, seed, {**proof.asked, **_pictures(proof, seed, folder)}))
            for seed, (proof, prompt) in enumerate(zip(proofs, prompts, strict=True), first)
        ]


def _pictures(proof: "Proof", seed: int, folder: str) -> dict[str, str]:
    """Frames of the menagerie as files, by what of the request each is."""
    from PIL import Image

    from dln.core.data.menagerie.source import Menagerie

    found = {}
    for name in proof.pictures:
        path = Path(folder) / f"{seed}-{name}.png"
        story = Menagerie(1, seed + len(found))
        Image.fromarray(story.image(0, (SIDE, SIDE))).save(path)
        found[name] = str(path)
    return found


def check_sampling(loaded: "Loaded", engine: "Engine", precision: str) -> dict[str, Any]:
    """The model's proof requests on PyTorch and on `engine`: the same pixels for fp32; for less
    precise graphs every call of the loop within the precision's limits. Raises ParityError.

    unproven: the graphs that no request has called.
    """
    from dln.core.models.engine import TorchEngine

    graphs: dict[str, Graph] = loaded.model.graphs()  # pyright: ignore
    reference = TorchEngine(graphs)
    with asked_of(loaded) as asked:
        record = {
            "prompts": [request.prompt for _, request in asked],
            "requests": [_told(*each) for each in asked],
        }
        if precision == "fp32":
            found = {"clips": [_same(loaded, each, reference, engine) for each in asked]}
            called = {name for clip in found["clips"] for name in clip["graphs"]}
        else:
            found = {"calls": _calls(loaded, asked, reference, engine, precision)}
            called = found["calls"].keys()
    return record | found | {"unproven": [name for name in graphs if name not in called]}


def _told(proof: "Proof", request: "Request") -> dict[str, Any]:
    """A proof request for the manifest; pictures by what they are, as their files are gone."""
    asked = {n: v for n, v in request.asked().items() if n not in proof.pictures}
    told = {"name": proof.name, "prompt": request.prompt, "seed": request.seed, "asked": asked}
    return told | {"pictures": list(proof.pictures)}


def _same(
    loaded: "Loaded", asked: "tuple[Proof, Request]", reference: "Engine", engine: "Engine"
) -> dict[str, Any]:
    """What one clip shows. ParityError for pixels that differ by more than one level."""
    from .parity import ParityError
    from .wrapped import compare_sampling

    proof, request = asked
    found = compare_sampling(lambda runner: _clip(loaded, request, runner), reference, engine)
    if found["max_level_difference"] > 1:
        what = f"{request.prompt!r}" if request.prompt else f"seed {request.seed}"
        levels = found["max_level_difference"]
        raise ParityError(f"sampling {what} ({proof.name}) differs by {levels} levels")
    return found


def _calls(
    loaded: "Loaded",
    asked: "Asked",
    reference: "Engine",
    engine: "Engine",
    precision: str,
) -> dict[str, Any]:
    """The worst of each graph's calls. ParityError for one outside the precision's limits."""
    from .parity import ParityError
    from .wrapped import Shadow

    shadow = Shadow(reference, engine)
    for _, request in asked:
        _clip(loaded, request, shadow)
    for name, difference in shadow.found.items():
        if broken := difference.broken(precision):
            raise ParityError(f"graph '{name}' while sampling: {broken}")
    return {name: difference.report() for name, difference in shadow.found.items()}


def _clip(loaded: "Loaded", request: "Request", engine: "Engine") -> "Clip":
    from dln.core.generation.generate import generate

    return generate(loaded, request, engine=engine).clip


def record_calls(loaded: "Loaded") -> dict[str, list[dict[str, Any]]]:
    """Inputs of each graph, at most CALLS of each, evenly: while the proof requests are sampled,
    with other prompts, seeds and pictures; of rendered clips for a model that judges. A graph that
    is missing was not called."""
    from dln.core.models.engine import TorchEngine

    from .wrapped import Recorder

    if not loaded.about.generates:
        return _inspected(loaded)
    recorder = Recorder(TorchEngine(loaded.model.graphs()), CALLS)  # pyright: ignore
    with asked_of(loaded, CALIBRATION, ROUNDS) as asked:
        for _, request in asked:
            _clip(loaded, request, recorder)
    return recorder.calls


def _inspected(loaded: "Loaded") -> dict[str, list[dict[str, Any]]]:
    """What a model that judges takes in of the world that taught it, else of the menagerie."""
    from dln.core.metrics.world import trained_on
    from dln.core.models.graph import flatten
    from dln.core.models.registry import load

    found: dict[str, list[dict[str, Any]]] = {}
    taught = trained_on(loaded.card) or ""
    world = taught if taught.partition(",")[0] == "vistas" else "menagerie"
    for number in range(INSPECTED):
        clips = [_rendered(world, 2 * number), _rendered(world, 2 * number + 1)]
        for graph, inputs in load(loaded.about).inspected(loaded.model, clips).items():
            found.setdefault(graph, []).append(flatten(inputs))
    return found


def _rendered(world: str, seed: int) -> "Clip":
    """A few frames of one story, or of one country."""
    import numpy as np

    from dln.core.data import open_source
    from dln.core.media.clip import Clip

    source, fps = open_source(world, count=1, seed=seed), 2.0
    times = np.arange(0, source.duration(0), 1 / fps)
    return Clip(source.frames(0, times, (SIDE, SIDE))[0], fps)


def example_calls(graph: "Graph") -> list[dict[str, Any]]:
    """For graphs that neither sampling nor a clip to judge calls."""
    from dln.core.models.graph import flatten

    from .parity import example

    return [flatten(example(graph, {}, seed)) for seed in range(8)]


def calibrated_on(loaded: "Loaded", called: bool) -> str:
    """Where the calls come from that told a graph its ranges: "sampling", "rendered clips", or its
    own "examples" where none was recorded."""
    if not called:
        return "examples"
    return "sampling" if loaded.about.generates else "rendered clips"


def check_calls_again(loaded: "Loaded", engine: "Engine", precision: str) -> dict[str, Any]:
    """Every graph at such calls as it was calibrated on: {graph: what was found}. ParityError.

    Other inputs would only measure how they are clipped.
    """
    from .parity import check_calls

    graphs: dict[str, Graph] = loaded.model.graphs()  # pyright: ignore
    found, calls = {}, {}
    if loaded.about.generates:
        found = check_sampling(loaded, engine, precision)["calls"]
    else:
        calls = record_calls(loaded)
    for name, graph in graphs.items():
        if name not in found:
            kept = calls.get(name) or example_calls(graph)
            found[name] = check_calls(graph, engine, precision, kept).report()
    return found
