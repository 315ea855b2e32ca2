"""`dln evaluate`: how like real clips a model's are and how well they show what their prompts ask
for, or how sharp the minimum is that its training found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError

from .clips import Engine, Runner, sampler_settings
from .completion import data as worlds
from .completion import weights
from .generate import given
from .measured import against_steps, drawn_pace, summary
from .options import (
    ConfigFile,
    Device,
    FixedSeed,
    Force,
    GraphPrecision,
    Json,
    Precision,
    Quiet,
    Verbose,
    size_of,
)
from .places import check_places, file_named
from .progress import progress
from .show import Result, screen

LONG = 64  # frames of a clip whose coherence is measured
USUAL = 200  # clips of it, or samples of a loss


class Metrics(StrEnum):
    """What is measured."""

    blocks = "blocks"
    clips = "clips"
    coherence = "coherence"
    interpolation = "interpolation"
    motion = "motion"
    pace = "pace"
    props = "props"
    sharpness = "sharpness"


def evaluate(
    model: Annotated[
        str, typer.Argument(autocompletion=weights, metavar="NAME|RUN|FILE", help="What to judge.")
    ],
    metrics: Annotated[
        Metrics,
        typer.Option(
            help="Of its clips, of blocks of large pictures, of how long clips hold together, of "
            "frames drawn between true ones, of how clips move or how fast their content changes, "
            "of what is held in them, or how sharp the minimum of its loss is."
        ),
    ] = Metrics.clips,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            help="Clips to judge, or samples of the loss. Unless told 200; of motion, pace and "
            "interpolation 100, of props 60; with --i3d, of a model without prompts, the 2048 of "
            "StyleGAN-V's protocol.",
        ),
    ] = None,
    held_out: Annotated[
        bool | None,
        typer.Option(
            "--held-out/--seen",
            help="Only pairs of actor and action that training never saw, or only those that it "
            "saw; one after the other where left out, so many clips of each.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            autocompletion=worlds,
            metavar="NAME|DIR",
            help="What to hold the clips against, instead of the data that the model learned from.",
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
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="As in dln generate.")
    ] = None,
    reconstruction: Annotated[
        float | None, typer.Option(min=0.0, help="As in dln generate.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="As in dln generate (repeatable)."),
    ] = None,
    best_of: Annotated[int, typer.Option(min=1, help="As in dln generate.")] = 1,
    engine: Annotated[Engine, typer.Option(help="As in dln generate.")] = Engine.torch,
    precision: GraphPrecision = Precision.fp32,
    i3d: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="StyleGAN-V's i3d_torchscript.pt, for the Fréchet video distance on it too.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Of another --i3d: it is a program, and may do what you may."),
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.png",
            help="Draw a slice of the loss (--metrics sharpness), the pace, or the quality against "
            "several --steps.",
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
    """Generate clips and measure them with the help of the bundled recognizer.

    Says how far the clips are from those that the model learned from: Fréchet and kernel distance
    on the features of the recognizer of their world, which compare only at the same --count. For a
    model with prompts that learned a built-in world, also how often it sees what was asked for. A
    model without prompts is measured on the first 16 and 128 frames of its clips; with --i3d that
    is StyleGAN-V's protocol: 2048 clips, FVD 16 and FVD 128. --metrics motion says of landscapes
    whether land stays and the hour goes forward, and of all clips how they flicker, beside real
    ones. --metrics pace says how fast colours become unlike the first frame's, beside real clips at
    their speed, at half and at twice of it. --metrics blocks says of pictures of any --size how
    like real ones each block of them is, and whether seams show between their patches. --metrics
    interpolation hands the model every second frame of real clips and holds the frames that it
    draws between against the true ones. --metrics props looks whether a glass that is drunk from
    and an apple that is eaten have less and less, frame by frame.

    \b
    Examples:
      dln evaluate cogvideo --count 100
      dln evaluate runs/mine --held-out --best-of 4 --json
      dln evaluate cogvideo --count 2048 --i3d i3d_torchscript.pt
      dln evaluate stylegan-v --i3d i3d_torchscript.pt
      dln evaluate cogvideo --metrics interpolation
      dln evaluate cogvideo --metrics props
      dln evaluate stylegan-v --metrics motion
      dln evaluate stylegan-v --metrics pace --frames 256 --out pace.png
      dln evaluate nuwa-infinity --metrics blocks --size 1024x256
      dln evaluate runs/mine --data my-videos/
      dln evaluate runs/diffusion --steps 2 --steps 4 --steps 8 --out steps.png
      dln evaluate runs/diffusion --metrics coherence --frames 64 -n 50
      dln evaluate runs/resnet --metrics sharpness --out slice.png
    """
    if trust and i3d is None:
        raise UsageError("--trust is for the program in --i3d FILE.", "leave it out")
    plot = None if out is None else file_named(out, ".png")
    from dln.core.models.locate import identify, look

    look(model)
    if metrics is Metrics.sharpness:
        refuse_of_clips(
            data=data, held_out=held_out, guidance=guidance, temperature=temperature, steps=steps,
            frames=frames, size=size, reconstruction=reconstruction, set=settings, i3d=i3d,
            best_of=best_of if best_of > 1 else None,
            engine=None if engine is Engine.torch else engine,
            precision=None if precision is Precision.fp32 else precision,
        )  # fmt: skip
        return minimum(model, count or USUAL, seed, device, plot, force)
    tried = sorted(set(steps or []))
    check_plot(plot, force, metrics, tried)
    wish = given(guidance=guidance, temperature=temperature, reconstruction=reconstruction)
    wish |= sampler_settings(settings) | given(size=size and size_of(size))
    runner = Runner(engine, precision, None, device)
    identify(model).check(wish | given(frames=frames, steps=max(tried, default=None)))
    if metrics is not Metrics.clips and (best_of > 1 or (i3d and metrics is not Metrics.blocks)):
        raise UsageError("--best-of and --i3d are for --metrics clips.", "leave them out")
    if metrics is Metrics.coherence:
        count = count or USUAL
        measure = coherence(frames or LONG)
    elif metrics is Metrics.blocks:
        measure = blocks(i3d, trust)
    elif metrics is Metrics.interpolation:
        measure = between()
    elif metrics in (Metrics.motion, Metrics.pace, Metrics.props):
        wish |= given(frames=frames)
        measure = {Metrics.motion: motion, Metrics.pace: pace, Metrics.props: props}[metrics]()
    else:
        wish |= given(frames=frames)
        measure = clips(i3d, best_of, trust)
    job = Job(model, data, held_out, wish, tried, runner)
    found, asked = job.carry_out(partial(measure, count=count, seed=seed, device=device))
    asked = {"seed": seed, **asked}
    if len(tried) > 1:
        return against_steps(model, asked, found, plot)
    (only,) = found.values()
    return summary(model, asked | drawn_pace(only, plot), only)


def refuse_of_clips(**asked: Any) -> None:
    """UsageError for an option that the loss of a training has no use for."""
    for name, value in asked.items():
        if value is not None and value != []:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"--metrics sharpness, of the loss on the data that the model learned "
                             f"from, takes no {flag}.", f"leave {flag} out")  # fmt: skip


def check_plot(out: Path | None, force: bool, metrics: Metrics, tried: list[int]) -> None:
    """UsageError where there is nothing to draw, or something is there already."""
    if out is None:
        return
    drawn = len(tried) < 2 if metrics is Metrics.pace else metrics is Metrics.clips and tried[1:]
    if not drawn:
        raise UsageError(
            "--out draws a slice of the loss, the pace, or quality against several --steps.",
            "--metrics sharpness, --metrics pace, or --steps 2 --steps 4",
        )
    check_places([out], force)


Measure = Callable[..., dict[str, Any]]


def clips(i3d: Path | None, best_of: int, trust: bool) -> Measure:
    """What is measured of clips of any length."""
    from dln.core.metrics.clips import evaluate as measure

    return partial(measure, i3d=i3d, best_of=best_of, trust=trust)


def blocks(i3d: Path | None, trust: bool) -> Measure:
    """What is measured of pictures of any size."""
    from dln.core.metrics.blocks import blocks as measure

    return partial(measure, i3d=i3d, trust=trust)


def coherence(frames: int) -> Measure:
    """What is measured of long ones."""
    from dln.core.metrics.coherence import coherence as measure

    return partial(measure, frames=frames)


def between() -> Measure:
    """What is measured of frames that are drawn between true ones."""
    from dln.core.metrics.interpolation import interpolation as measure

    return measure


def motion() -> Measure:
    """What is measured of how clips move."""
    from dln.core.metrics.motion import motion as measure

    return measure


def pace() -> Measure:
    """What is measured of how fast clips change."""
    from dln.core.metrics.pace import pace as measure

    return measure


def props() -> Measure:
    """What is measured of things that are held."""
    from dln.core.metrics.props import props as measure

    return measure


@dataclass(frozen=True)
class Job:
    """Whose clips are made, with which settings, and what they are held against."""

    model: str
    data: str | None
    held_out: bool | None
    settings: dict[str, Any]
    tried: list[int]  # numbers of steps, each measured in turn
    runner: Runner

    def carry_out(self, measure: Measure) -> tuple[dict[int | None, dict[str, Any]], dict]:
        """What is found with each number of steps, and what was asked for, resolved."""
        from dln.core.metrics.world import world_of
        from dln.core.models.package import load_model

        loaded = load_model(self.model)
        world = world_of(loaded, self.data)
        splits = world.splits(self.held_out)
        for remark in world.notes:
            screen.note(remark)
        engine = self.runner.open(loaded)
        measure = partial(measure, loaded, engine=engine, data=self.data)
        found: dict[int | None, dict[str, Any]] = {}
        for few in self.tried or [None]:
            chosen, found[few] = self.settings | given(steps=few), {}
            for pairs in splits:
                with progress() as report:
                    found[few] |= measure(held_out=pairs, settings=chosen, on_progress=report)
        settings = self.settings | given(steps=self.tried[0] if len(self.tried) == 1 else None)
        asked = {"data": world.data, "engine": engine.name}
        return found, asked | {"settings": settings, "notes": world.notes}


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
