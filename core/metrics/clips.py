"""A model's clips, made once and measured: what they show, and how like real ones they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..generation.best import generate_best
from ..generation.generate import Generated, generate
from ..models.engine import Engine, pick_device
from ..models.request import Request
from ..progress import OnProgress, unheard
from .alignment import KNOWN, Outcome, score, single
from .excerpts import CLIPS, Excerpts
from .i3d import I3D, PUBLISHED
from .likeness import Likeness
from .reconstruction import reconstruction
from .world import Real, world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

USUAL = 200  # clips


def evaluate(
    loaded: Loaded,
    count: int | None = None,
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
    of one that is not the published one, and may do anything). Of one that makes clips without
    prompts: the same of 16 and of 128 frames, or of as many as settings ask for (`Excerpts`), with
    `i3d` by the protocol of StyleGAN-V. Of one with prompts, on a built-in world: how often clips
    show what is asked for (`alignment.score`); the recognizer may then both rank and judge. Of one
    that encodes and decodes: what is left of real clips (`reconstruction`).

    count: 200 where left out, the 2048 of the protocol where that is followed.

    held_out: on the pairs of actor and action that the menagerie keeps from training, every metric
    then named held_out_...; settings: of the request, such as guidance, by name; engine: what runs
    the graphs. UsageError for a model that makes no clips, data that are not here, a file that is
    no detector, or a ranking of clips that no prompt describes; MissingCapability where the
    recognizer's weights are not installed.
    """
    world, report = world_of(loaded, data), on_progress or unheard
    wish, lengths = excerpted(loaded, settings or {})
    count = count or (CLIPS if i3d and lengths else USUAL)
    if best_of > 1 and not world.ranked:
        raise UsageError("the recognizer ranks clips of the menagerie's prompts alone",
                         "leave --best-of out")  # fmt: skip
    real = world.real(count, seed, held_out)
    recognizer, outcomes, seconds = world.judge(), list[Outcome](), 0.0
    detector = I3D(i3d, pick_device(device), trust) if i3d else None
    likeness: Excerpts | Likeness = (
        Excerpts(lengths, recognizer, detector) if lengths else Likeness(detector, judge=recognizer)
    )
    prompts, labels = world.prompts(real, count, seed, held_out), classes(loaded, real)
    films = make(loaded, prompts, wish, best_of, labels, engine=engine, device=device)
    for number, (prompt, made) in enumerate(films):
        seen = recognizer.model.names(likeness.add(made.clip))  # pyright: ignore
        outcomes.append((prompt, single(seen)))
        seconds += sum(made.seconds.values())
        report(number + 1, count, "clips")
    found = (score(outcomes, KNOWN[world.known]) if world.aligned and world.known else {}) | {
        "count": count,
        "best_of": best_of,
        "seconds_per_clip": seconds / count,
        "recognizer_sha256": recognizer.sha256,
    }
    if isinstance(likeness, Excerpts):
        found |= likeness.against(world, seed, report)
        found |= likeness.protocol(count, settings or {})
    else:
        found |= likeness.against(real, report, world.real(count, seed, held_out, others=True))
    found |= reconstruction(loaded, real, likeness.size, world.known, report)
    return prefixed(found, held_out)


def excerpted(
    loaded: Loaded, settings: Mapping[str, Any]
) -> tuple[Mapping[str, Any], tuple[int, ...]]:
    """The settings, with the rate of the data that a model without prompts learnt, and how many
    first frames of its clips are looked at; () where clips are looked at whole."""
    if loaded.about.text or loaded.about.gives != "clip":
        return settings, ()
    asked = settings.get("frames")
    wish = filmed(loaded, settings, max(PUBLISHED))
    return wish, PUBLISHED if asked is None else (asked,)


def filmed(loaded: Loaded, settings: Mapping[str, Any], frames: int) -> Mapping[str, Any]:
    """The settings; of a model without prompts with so many frames, at the rate of its data, where
    they tell no others. UsageError for a model whose clips do not move."""
    if loaded.about.gives != "clip":
        raise UsageError(f"{loaded.about.name} makes pictures, and nothing moves in them")
    if loaded.about.text:
        return settings
    return {"frames": frames, **own_rate(loaded), **settings}


def own_rate(loaded: Loaded) -> dict[str, float]:
    """fps: that of the data which a model learnt, where its configuration says it; its clips may be
    shown at another one."""
    rate = getattr(getattr(loaded.model, "config", None), "fps", None)
    return {"fps": rate} if rate else {}


def make(
    loaded: Loaded,
    prompts: Iterable[str],
    settings: Mapping[str, Any] | None,
    best_of: int = 1,
    labels: Iterable[str | None] = repeat(None),
    **options: Any,
) -> Iterator[tuple[str, Generated]]:
    """Each prompt and its clip: clip i from seed i. labels: its class, None for what the model
    draws; options: those of `generate`."""
    for number, (prompt, label) in enumerate(zip(prompts, labels, strict=False)):
        request = Request.of(prompt, number, {**(settings or {}), "label": label})
        if best_of > 1:
            yield prompt, generate_best(loaded, request, best_of, **options)
        else:
            yield prompt, generate(loaded, request, **options)


def classes(loaded: Loaded, real: Real) -> Iterator[str | None]:
    """For ever: a class for each clip, as often as the data have it; None where the model takes
    none, or others than the data have."""
    source = real.source
    taken = "class" in loaded.about.takes and getattr(loaded.model.config, "classes", ())
    if not taken or not source.classes or not {*source.classes} <= {*taken}:
        yield from repeat(None)
    for row in cycle(real.rows):
        yield source.classes[source.label(int(row))]


def prefixed(found: dict[str, Any], held_out: bool) -> dict[str, Any]:
    """Metrics named held_out_... where they are of held-out pairs."""
    return {f"held_out_{key}": found[key] for key in found} if held_out else found
