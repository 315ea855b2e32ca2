"""`dln evaluate`: how well a model's clips show what their prompts ask for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .generate import Engine, Runner
from .options import ConfigFile, Device, FixedSeed, Json, Precision, Quiet, Verbose
from .progress import progress
from .show import Result, number, table

PAIRS = {True: True, False: None, None: False}  # the flag -> what core calls held_out


def evaluate(
    model: Annotated[str, typer.Argument(metavar="NAME|RUN|FILE", help="What to judge.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Clips to judge.")] = 200,
    held_out: Annotated[
        bool | None,
        typer.Option(
            "--held-out/--all",
            help="Only pairs of actor and action that training never saw, or every pair; "
            "where left out, those that it saw.",
        ),
    ] = None,
    guidance: Annotated[float | None, typer.Option(min=0.0, help="As in dln generate.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="As in dln generate.")] = None,
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
    seed: FixedSeed = 0,
    device: Device = "auto",
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
      dln evaluate runs/mine --held-out --json
      dln evaluate cogvideo --count 2048 --i3d i3d_torchscript.pt
    """
    from dln.core.metrics.alignment import evaluate as measure
    from dln.core.models.package import load_model

    wish = {"guidance": guidance, "temperature": temperature}
    settings = {name: value for name, value in wish.items() if value is not None}
    loaded = load_model(model)
    runner = Runner(engine, precision, None, device).open(loaded)
    with progress() as report:
        metrics = measure(loaded, count=count, seed=seed, held_out=PAIRS[held_out],
                          on_progress=report, settings=settings, device=device,
                          engine=runner, i3d=i3d)  # fmt: skip
    rows = list(lines(metrics))
    brief = [f"{name} {value}" for name, value in rows]
    data = {"model": model, "seed": seed, "engine": runner.name if runner else "torch",
            "settings": settings, "metrics": metrics}  # fmt: skip
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
