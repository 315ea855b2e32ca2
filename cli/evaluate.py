"""`dln evaluate`: how well a model's clips show what their prompts ask for, or how sharp the
minimum is that its training found."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError

from .generate import Engine, Runner, given
from .options import ConfigFile, Device, FixedSeed, Force, Json, Precision, Quiet, Verbose
from .places import check_places
from .progress import progress
from .show import Result, number, table

LONG = 64  # frames of a clip whose coherence is measured
PAIRS = {True: (True,), False: (False,), None: (False, True)}  # the flag -> which are held out


class Metrics(StrEnum):
    """What is measured."""

    clips = "clips"
    coherence = "coherence"
    sharpness = "sharpness"


def evaluate(
    model: Annotated[str, typer.Argument(metavar="NAME|RUN|FILE", help="What to judge.")],
    metrics: Annotated[
        Metrics,
        typer.Option(
            help="Of its clips, of how long ones hold together, or how sharp the minimum of its "
            "loss is."
        ),
    ] = Metrics.clips,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Clips to judge, or samples of the loss.")
    ] = 200,
    held_out: Annotated[
        bool | None,
        typer.Option(
            "--held-out/--seen",
            help="Only pairs of actor and action that training never saw, or only those that it "
            "saw; one after the other where left out, so many clips of each.",
        ),
    ] = None,
    guidance: Annotated[float | None, typer.Option(min=0.0, help="As in dln generate.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="As in dln generate.")] = None,
    steps: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="As in dln generate; given several times, each is measured in turn."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="As in dln generate.")] = None,
    reconstruction: Annotated[
        float | None, typer.Option(min=0.0, help="As in dln generate.")
    ] = None,
    best_of: Annotated[int, typer.Option(min=1, help="As in dln generate.")] = 1,
    engine: Annotated[Engine, typer.Option(help="As in dln generate.")] = Engine.torch,
    precision: Annotated[
        Precision, typer.Option(help="Of --engine onnx and trt.")
    ] = Precision.fp32,
    i3d: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="StyleGAN-V's i3d_torchscript.pt, for the Fréchet video distance on it too.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.png",
            help="Draw a slice of the loss (--metrics sharpness), or the quality against several "
            "--steps.",
        ),
    ] = None,
    seed: FixedSeed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Generate clips for drawn prompts and let the bundled recognizer judge them.

    Says how often it sees what was asked for, and how far the clips are from real ones: Fréchet
    and kernel distance on its features, which compare only at the same --count.

    \b
    Examples:
      dln evaluate cogvideo --count 100
      dln evaluate runs/mine --held-out --best-of 4 --json
      dln evaluate cogvideo --count 2048 --i3d i3d_torchscript.pt
      dln evaluate runs/diffusion --steps 2 --steps 4 --steps 8 --out steps.png
      dln evaluate runs/diffusion --metrics coherence --frames 64 -n 50
      dln evaluate runs/resnet --metrics sharpness --out slice.png
    """
    if metrics is Metrics.sharpness:
        return minimum(model, count, seed, device, out, force)
    tried = sorted(set(steps or []))
    if out is not None:
        if len(tried) < 2 or metrics is Metrics.coherence:
            raise UsageError("--out draws a slice of the loss, or quality against several --steps.",
                             "--metrics sharpness, or --steps 2 --steps 4")  # fmt: skip
        check_places([out], force)
    settings = given(guidance=guidance, temperature=temperature, reconstruction=reconstruction)
    if metrics is Metrics.coherence:
        if best_of > 1 or i3d:
            raise UsageError("--best-of and --i3d are for --metrics clips.", "leave them out")
        from dln.core.metrics.coherence import coherence

        measure: Callable[..., dict[str, Any]] = partial(coherence, frames=frames or LONG)
    else:
        from dln.core.metrics.alignment import evaluate as alignment

        settings |= given(frames=frames)
        measure = partial(alignment, i3d=i3d, best_of=best_of)
    from dln.core.models.package import load_model

    loaded = load_model(model)
    runner = Runner(engine, precision, None, device).open(loaded)
    measure = partial(measure, loaded, count=count, seed=seed, device=device, engine=runner)
    found: dict[int | None, dict[str, Any]] = {}
    for few in tried or [None]:
        chosen = settings | given(steps=few)
        found[few] = {}
        for pairs in PAIRS[held_out]:
            with progress() as report:
                found[few] |= measure(held_out=pairs, settings=chosen, on_progress=report)
    asked = {"seed": seed, "engine": runner.name if runner else "torch", "settings": settings}
    if len(tried) > 1:
        return against_steps(model, asked, found, out)
    few = tried[0] if tried else None
    asked["settings"] = settings | given(steps=few)
    return summary(model, asked, found[few])


def against_steps(
    model: str, asked: dict[str, Any], found: Mapping[Any, Mapping[str, Any]], out: Path | None
) -> Result:
    """A column for each number of steps; drawn where `out` says."""
    from dln.core.metrics.steps import plot_steps

    if out is not None:
        plot_steps(out, found)
        asked["plot"] = str(out)
    columns = [dict(lines(metrics)) for metrics in found.values()]
    names = [name for name in columns[0] if name != "seen otherwise"]
    rows = [(name, *(column.get(name, "") for column in columns)) for name in names]
    title = ("metric", *(f"{n} steps" for n in found))
    data = {"model": model, **asked, "steps": {str(n): metrics for n, metrics in found.items()}}
    return Result(data, table(title, rows, title=model), [" ".join(row) for row in rows])


def minimum(
    model: str, count: int, seed: int, device: str, out: Path | None, force: bool
) -> Result:
    """The sharpness of the minimum, on the data that the weights learned from."""
    from dln.core.metrics.curvature import plot_slice
    from dln.core.metrics.minimum import evaluate as measure
    from dln.core.models.engine import pick_device
    from dln.core.models.package import load_model

    if out is not None:
        check_places([out], force)
    with progress() as report:
        found, slices = measure(load_model(model), count, seed, pick_device(device), report)
    asked: dict[str, Any] = {"seed": seed, "count": count}
    if out is not None:
        plot_slice(out, slices)
        asked["slice"] = str(out)
    return summary(model, asked, found)


def summary(model: str, asked: Mapping[str, Any], metrics: Mapping[str, Any]) -> Result:
    rows = list(lines(metrics))
    brief = [f"{name} {value}" for name, value in rows]
    data = {"model": model, **asked, "metrics": metrics}
    return Result(data, table(("metric", "value"), rows, title=model), brief)


def lines(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A row a metric, with its 95 % interval if any, and one a clip that shows something else."""
    for name, value in metrics.items():
        label = name.replace("_", " ")
        if name.endswith(("_low", "_high")):
            continue
        if name.endswith("confusions"):
            for miss in value:
                yield "seen otherwise", f"{miss['prompt']}: {miss['seen']}"
        else:
            yield label, number(value) + interval(name, metrics)


def interval(name: str, metrics: Mapping[str, Any]) -> str:
    """What follows a value: actor_accuracy has actor_low and actor_high, kernel_distance has
    kernel_distance_low and kernel_distance_high, and most have none."""
    stem = name.removesuffix("_accuracy")
    low, high = (metrics.get(f"{stem}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f" (95 %: {number(low)} to {number(high)})"
