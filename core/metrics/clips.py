"""A model's clips, made once and measured: what they show, and how like real ones they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..generation.best import generate_best
from ..generation.generate import Generated, generate
from ..models.engine import Engine, pick_device
from ..models.recognizer.judge import load_judge
from ..models.request import Request
from ..progress import OnProgress, unheard
from .alignment import Outcome, score, single
from .likeness import Likeness
from .reconstruction import reconstruction
from .world import world_of

if TYPE_CHECKING:
    from ..models.package import Loaded


def evaluate(
    loaded: Loaded,
    count: int = 200,
    seed: int = 0,
    held_out: bool = False,
    on_progress: OnProgress | None = None,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    i3d: Path | None = None,
    best_of: int = 1,
    data: str | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """Generate `count` clips and measure what applies to the model and its data.

    Clip i is made from seed i, or is the best of `best_of` that begin there. Of every model: how
    far the clips are from real ones (`Likeness`), which are those of the data that its card names
    or of `data`; with `i3d`, the TorchScript file of a detector, on its features too (`trust`: also
    of one that is not the published one, and may do anything). Of one with prompts, on the
    menagerie: how often clips show what is asked for (`alignment.score`); the recognizer then both
    ranks and judges. Of one that encodes and decodes: what is left of real clips
    (`reconstruction`).

    held_out: on the pairs of actor and action that the menagerie keeps from training, every metric
    then named held_out_...; settings: of the request, such as guidance, by name; engine: what runs
    the graphs. UsageError for a model that makes no clips, data that are not here, a file that is
    no detector, or a ranking of clips that no prompt describes; MissingCapability where the
    recognizer's weights are not installed.
    """
    world, report = world_of(loaded, data), on_progress or unheard
    if best_of > 1 and not world.aligned:
        raise UsageError("the recognizer ranks clips of the menagerie's prompts alone",
                         "leave --best-of out")  # fmt: skip
    real = world.real(count, seed, held_out)
    recognizer, outcomes, seconds = load_judge(), list[Outcome](), 0.0
    likeness = Likeness(i3d, pick_device(device) if i3d else "cpu", trust)
    prompts = world.prompts(real, count, seed, held_out)
    options: dict[str, Any] = {"engine": engine, "device": device}
    for number, (prompt, made) in enumerate(make(loaded, prompts, settings, best_of, **options)):
        seen = recognizer.model.names(likeness.add(made.clip))  # pyright: ignore
        outcomes.append((prompt, single(seen)))
        seconds += sum(made.seconds.values())
        report(number + 1, count, "clips")
    found = (score(outcomes) if world.aligned else {}) | {
        "count": count,
        "best_of": best_of,
        "seconds_per_clip": seconds / count,
        "recognizer_sha256": recognizer.sha256,
    }
    others = world.real(count, seed, held_out, others=True)
    found |= likeness.against(real, report, others)
    found |= reconstruction(loaded, real, likeness.size, world.known, report)
    return prefixed(found, held_out)


def make(
    loaded: Loaded,
    prompts: Iterable[str],
    settings: dict[str, Any] | None,
    best_of: int = 1,
    **options: Any,
) -> Iterator[tuple[str, Generated]]:
    """Each prompt and its clip: clip i from seed i. options: those of `generate`."""
    for number, prompt in enumerate(prompts):
        request = Request.of(prompt, number, settings or {})
        if best_of > 1:
            yield prompt, generate_best(loaded, request, best_of, **options)
        else:
            yield prompt, generate(loaded, request, **options)


def prefixed(found: dict[str, Any], held_out: bool) -> dict[str, Any]:
    """Metrics named held_out_... where they are of held-out pairs."""
    return {f"held_out_{key}": found[key] for key in found} if held_out else found
