"""`dln generate`: a prompt in, a clip out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.text.shown import on_one_line

from . import completion
from .asked import check_able, check_asked, check_rates
from .clips import Engine, Job, Made, Runner, fulfil, sampler_settings
from .options import (
    ConfigFile,
    Device,
    Download,
    DryRun,
    Force,
    GraphPrecision,
    Graphs,
    Json,
    Precision,
    Quiet,
    SamplerSettings,
    Seed,
    Verbose,
    extension_of,
    size_of,
)
from .places import check_places, clip_paths, slug
from .show import Result

MAX_SEED = 2**31 - 1
MOST_CLIPS = 10_000


Prompt = Annotated[str, typer.Argument(help='What to show: "lion drinking".', show_default=False)]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        autocompletion=completion.weights,
        metavar="NAME|RUN|FILE",
        help="A model, a run or its weights; diffusers:FOLDER, a pipeline of diffusers.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out", "-o", metavar="PATH", help="The file to write; a folder if it ends with /."
    ),
]


def generate(
    prompt: Prompt = "",
    model: ModelName = "cogvideo",
    frames: Annotated[int | None, typer.Option(min=1, help="Frames in the clip.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Frames a second; a gif tells up to 50."),
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0.0, help="How hard the prompt pulls; 1 is not at all.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Spread of the draws; 0 takes the likeliest.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the likeliest to draw from.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="A picture that the clip begins with.")
    ] = None,
    last_image: Annotated[
        str | None, typer.Option(metavar="FILE", help="One that it ends with; diffusion.")
    ] = None,
    extend: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE=PIXELS,...",
            help="Draw on around --image: left, right, up and down; nuwa-infinity.",
        ),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A clip made larger; long-video-gan, cogvideo."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="What to show, by its class.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="In pixels, where models can.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a diffusion: fewer are faster.")
    ] = None,
    reconstruction: Annotated[
        float | None,
        typer.Option(min=0.0, help="How hard new frames are fitted to given ones; diffusion."),
    ] = None,
    settings: SamplerSettings = None,
    count: Annotated[
        int,
        typer.Option(
            "--count", "-n", min=1, max=MOST_CLIPS, help="Clips, with seeds one after the other."
        ),
    ] = 1,
    grid: Annotated[
        bool, typer.Option("--grid", help="All clips of --count side by side in one file.")
    ] = False,
    best_of: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_CLIPS,
            help="Candidates for each clip; the recognizer keeps the best one.",
        ),
    ] = 1,
    engine: Annotated[
        Engine, typer.Option(help="What computes; auto: ONNX Runtime where that takes no export.")
    ] = Engine.auto,
    precision: GraphPrecision = Precision.fp32,
    graphs: Graphs = None,
    download: Download = False,
    out: Out = None,
    native: Annotated[
        bool, typer.Option("--native", help="Keep the model's own pixels, unmagnified.")
    ] = False,
    preview: Annotated[
        bool | None,
        typer.Option("--preview/--no-preview", help="Play it here; default on a terminal."),
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Turn a prompt into a video file, or into a picture of any size.

    \b
    Examples:
      dln generate "lion drinking"
      dln generate "лев пьёт воду" --seed 7
      dln generate "cat dancing" --count 4 --out clips/ --frames 32
      dln generate "lion drinking" --image lion.png
      dln generate "chick drinking" --best-of 4
      dln generate "lion drinking" --model runs/mine --out lion.gif
      dln generate "lion drinking" --engine onnx
      dln generate "lion drinking" --count 9 --grid
      dln generate --model stylegan-v --seed 7 --frames 10000 --fps 60 --out sky.mp4
      dln generate "mountains by a lake" --model nuwa-infinity --size 2048x256 --out wide.png
      dln generate --model nuwa-infinity --image photo.png --extend left=256,right=512
      dln generate --model nuwa-infinity --image photo.png --frames 20
      dln generate --model long-video-gan --frames 9000 --set start=600 --out ride.mp4
      dln generate --model long-video-gan --video small.mp4 --out large.mp4
      dln generate "a lion drinking" --model diffusers:wan --frames 33 --size 480x320
    """
    model = fetched(model) if download else model
    wanted = Runner(engine, precision, graphs, device)
    wish = given(
        frames=frames, fps=fps, size=size and size_of(size), image=image, last_image=last_image,
        extend=extend and extension_of(extend), video=video, label=label, guidance=guidance,
        temperature=temperature, top_p=top_p, steps=steps, reconstruction=reconstruction,
    ) | sampler_settings(settings)  # fmt: skip
    about = check_asked(prompt, model, wish)
    check_rank(prompt, best_of)
    check_grid(grid, count, best_of)
    first = draw_seed() if seed is None else seed
    seeds = seeds_from(first, count)
    stem, named = slug(prompt) or slug(Path(model).stem) or "clip", seeds
    if grid:
        stem, named = f"{stem}-grid", seeds[:1]
    paths = clip_paths(stem, named, out, ".mp4" if about.made(wish) == "clip" else ".png")
    job = Job(prompt, model, seeds, paths, wanted, wish, native, force, best_of, grid)
    check_rates(paths, wish)
    check_places(paths, force)
    check_able(job)
    if dry_run:
        return intention(job)
    return summary(job, fulfil(job, preview, drawn=seed is None))


def fetched(model: str) -> str:
    """The folder of a pipeline in place of its name on the hub. UsageError for other models."""
    from dln.core.models.pipelines.guest import ABOUT
    from dln.core.models.pipelines.hub import fetched

    if not model.startswith(f"{ABOUT.name}:"):
        raise UsageError("--download is of pipelines of diffusers.", "--model diffusers:OWNER/NAME")
    return fetched(model)


def given(**wish: Any) -> dict[str, Any]:
    """Only what was asked for, so that the model's own defaults stand elsewhere."""
    return {name: value for name, value in wish.items() if value is not None}


def check_rank(prompt: str, best_of: int) -> None:
    """UsageError where there are candidates and the prompt names nothing to rank them by."""
    if best_of > 1:
        from dln.core.generation.best import named

        named(prompt)


def check_grid(grid: bool, count: int, best_of: int) -> None:
    """UsageError for a mosaic of one clip or too many, and for one of candidates."""
    from dln.core.media.mosaic import MOST

    if grid and not 2 <= count <= MOST:
        raise UsageError(f"--grid shows from 2 to {MOST} clips, not {count:,}.", "--count 9 --grid")
    if grid and best_of > 1:
        raise UsageError("--grid shows all clips, --best-of keeps one.", "leave one of them out")


def draw_seed() -> int:
    from random import SystemRandom

    return SystemRandom().randint(0, MAX_SEED)


def seeds_from(first: int, count: int) -> range:
    seeds = range(first, first + count)
    if seeds[-1] > MAX_SEED:
        raise UsageError(f"seed {seeds[-1]} is too large: {MAX_SEED} is the last one.")
    return seeds


def intention(job: Job) -> Result:
    """What --dry-run shows: each setting that was resolved, and each file that would be made."""
    paths = [str(path) for path in job.paths]
    lines = [on_one_line(f"{name} {value}") for name, value in job.settings.items()]
    lines += [f"would write {path}" for path in paths]
    return Result({"dry_run": True, **job.settings, "paths": paths}, "\n".join(lines), paths)


def summary(job: Job, made: Sequence[Made]) -> Result:
    notes = list(dict.fromkeys(remark for result in made for remark in result.notes))
    paths = [str(path) for path in job.paths]
    clips = [account(*each) for each in zip(paths, job.seeds, made, strict=not job.grid)]
    data = {**job.settings, **job.ran(made[0].engine), "clips": clips, "notes": notes}
    return Result(data, "\n".join(paths), paths)


def account(path: str, seed: int, made: Made) -> dict[str, Any]:
    """One clip's entry in the JSON object; of several candidates, the seed is the winner's."""
    height, width = made.size
    size = {"frames": made.frames, "height_px": height, "width_px": width, "fps": made.fps}
    times = {f"{name}_s": round(value, 4) for name, value in made.seconds.items()}
    return {"path": path, "seed": seed, **size, **times, **made.ranking}
