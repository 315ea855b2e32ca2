"""`dln train`: every stage of a model, in order, into a run folder."""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import DlnError, UsageError
from dln.core.text.shown import on_one_line

from . import completion
from .assign import parse_overrides, parse_rates, parse_steps
from .carbon.account import ScopeOption, Stated, account_of
from .carbon.grid import USUAL, Grid, grouped
from .carbon.pace import PaceOptions
from .options import ConfigFile, Device, DryRun, Force, Json, Quiet, Verbose
from .places import RUNS
from .show import Result, is_main_process, say, screen

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account, Place
    from dln.core.carbon.plan.threshold import Schedule
    from dln.core.models.about import About
    from dln.core.training.options import TrainOptions

WORDS = 8  # of a caption of your own data that are told
# What a model that learned a built-in world can be asked for.
PROMPTS = {"menagerie": '"lion drinking"', "vistas": '"a mountain lake at sunset"'}


class OnPause(StrEnum):
    """What a training does where its schedule says wait."""

    sleep = "sleep"
    exit = "exit"


class Optimizer(StrEnum):
    """What moves the weights; sgd has momentum."""

    adamw = "adamw"
    sgd = "sgd"


class Tracker(StrEnum):
    """What else hears of a training."""

    tensorboard = "tensorboard"
    wandb = "wandb"
    trackio = "trackio"


class TrainPrecision(StrEnum):
    """What the training computes in."""

    fp32 = "fp32"
    bf16 = "bf16"


@grouped
def train(
    model: Annotated[
        str, typer.Argument(autocompletion=completion.models, help="A name from dln models list.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.data,
            metavar="NAME|DIR",
            help="menagerie, vistas, digits, a folder, a picture or shards of your own.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(autocompletion=completion.presets, help="Size: see dln models show MODEL."),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.weights,
            metavar="NAME|RUN|FILE",
            help="Begin from these weights, not at random.",
        ),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(autocompletion=completion.stages, help="Go no further than this stage."),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option(metavar="N|STAGE=N", help="Steps of every stage, or of one (repeatable)."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples a step, in all.")] = None,
    lr: Annotated[
        list[str] | None,
        typer.Option(metavar="N|PLAYER=N", help="Learning rate of all, or of one (repeatable)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, or the latest one.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The run folder; default runs/MODEL."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", "-s", min=0, help="Seed; 0 where left out.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[TrainPrecision | None, typer.Option(help="Default: the device's.")] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Use torch.compile.")
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, help="Pieces that a batch is computed in.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, metavar="STEPS", help="Default: every two minutes.")
    ] = None,
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, metavar="STEPS", help="Default: at the end of a stage.")
    ] = None,
    optimizer: Annotated[
        Optimizer | None, typer.Option(help="What moves the weights; default: the model's.")
    ] = None,
    sharpness: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD[,KEY=VALUE]", help="Flat minima: none, sam, saf, mesa; saf,lag=2."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read the data, threads that batch it.")
    ] = None,
    track: Annotated[
        list[Tracker] | None,
        typer.Option(help="Tell a tracker of losses, measures and sheets (repeatable)."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            "-r",
            autocompletion=completion.regions,
            metavar="REGION",
            help="Where it runs: its CO2e is kept.",
        ),
    ] = None,
    carbon_plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Pause and go on by a plan of dln carbon schedule."),
    ] = None,
    pause_above: Annotated[
        float | None, typer.Option(metavar="G", help="Pause while the grid is above G g/kWh.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on run whatever the grid is.")
    ] = None,
    grid: Grid = USUAL,
    pue: Annotated[
        float | None, typer.Option(help="Facility over machine energy; default 1.")
    ] = None,
    intensity: Stated = None,
    scope: ScopeOption = "machine",
    on_pause: Annotated[
        OnPause, typer.Option(help="Sleep in the process, or exit with code 75.")
    ] = OnPause.sleep,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the preset (repeatable)."),
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result | None:
    """Train a model from scratch, or go on with a run that was stopped.

    Ctrl-C saves a checkpoint. accelerate launch and torchrun work as they are:
    accelerate launch --module dln.cli train cogvideo

    \b
    Examples:
      dln train cogvideo
      dln train cogvideo --data my-videos/ --preset small --out runs/mine
      dln train cogvideo --resume --out runs/mine
      dln train cogvideo --steps tokenizer=500 --set width=96 --dry-run
      dln train cogvideo --carbon-plan plan.json
      dln train resnet --data digits --sharpness saf
      dln train resnet --preset resnet50 --data imagenet --sharpness mesa --dry-run
    """
    from dln.core.data import check_spec
    from dln.core.models.locate import look
    from dln.core.models.registry import find
    from dln.core.runs.tracking import check_trackers

    spec, of_stages = find(model), parse_steps(steps or [])
    spec.check_training(preset, stage or "", *(of_stages if isinstance(of_stages, dict) else ()))
    trackers = tuple(each.value for each in track or [])
    check_trackers(trackers)
    if start_from is not None:
        look(start_from)
    if data is not None and not dry_run:
        check_spec(data)
    schedule, where = PaceOptions(carbon_plan, pause_above, region, grid, deadline, pue).resolve()
    account = account_of(scope, intensity)
    from dln.core.training.options import TrainOptions

    overrides = parse_overrides(settings or [])
    place = out or (latest_run(spec.name) if resume else RUNS / spec.name)
    options = TrainOptions(
        data=data, preset=preset, start_from=start_from, stage=stage,
        steps=of_stages, batch=batch, lr=parse_rates(lr or []), resume=resume,
        out=place, seed=seed, device=device, precision=precision and precision.value,
        compile=compile, accumulate=accumulate, checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every, workers=workers, config=overrides, force=force,
        optimizer=optimizer and optimizer.value, sharpness=sharpness, track=trackers,
    )  # fmt: skip
    if dry_run:
        from .intended import intention

        return intention(spec, options, where, account, schedule)
    return carry_out(spec, options, schedule, where, on_pause == OnPause.exit, account)


def latest_run(model: str) -> Path:
    """The run of this model under runs/ that was written to last."""
    found = [path.parent for path in RUNS.glob("*/config.toml")]
    runs = [run for run in found if recorded(run).get("model") == model]
    if not runs:
        raise UsageError(f"there is no run of {model} in {RUNS}/ to resume.", f"dln train {model}")
    return max(runs, key=last_written)


def recorded(run: Path) -> dict[str, Any]:
    """The run's config.toml; empty where it cannot be read, or is that of something else."""
    from dln.core.training.contents import read_record

    try:
        return read_record(run)
    except UsageError:
        return {}


def last_written(run: Path) -> float:
    return max(path.stat().st_mtime for path in (run / "config.toml", run / "stats.jsonl")
               if os.path.exists(path))  # fmt: skip


def carry_out(
    spec: "About",
    options: "TrainOptions",
    schedule: "Schedule | None",
    place: "Place | None",
    leave: bool,
    account: "Account | None",
) -> Result | None:
    """Train, and return where the weights are; None on all processes but the first."""
    from dln.core.runs.train import train as run_training
    from dln.core.training.pace import Pace

    from .watch import watching

    with watching() as watch:
        pace = Pace(schedule, leave) if schedule else None
        run = run_training(spec.name, options, watch, pace, place, account)
    if not is_main_process():
        return None
    weights = run / "model.safetensors"
    path = str(weights if os.path.exists(weights) else run)
    if os.path.exists(weights) and spec.generates and not (screen.quiet or screen.json):
        say("next", generation_line(spec, run), "cyan")
    data = {"model": spec.name, "run": str(run), "finished": os.path.exists(weights), "path": path,
            "stages": watch.stages}  # fmt: skip
    return Result(data, on_one_line(path), [path])


def generation_line(spec: "About", run: Path) -> str:
    """The command that generates with a run, with a prompt that its data can answer."""
    data = str(recorded(run).get("options", {}).get("data", spec.data))
    prompt = ""
    if spec.text:
        prompt = PROMPTS.get(data.split(",")[0]) or ("" if spec.wordless else own_words(data))
    words = f"dln generate {prompt}".strip()
    return f"{words} --model {shlex.quote(str(run))}"


def own_words(data: str) -> str:
    """The beginning of the data's first caption, as a shell reads it."""
    from numpy.random import default_rng

    from dln.core.data import open_source

    try:
        words = open_source(data).caption(0, default_rng(0)).split()[:WORDS]
    except DlnError:  # moved since
        words = []
    return "PROMPT" if not words or words[0].startswith("-") else shlex.quote(" ".join(words))
