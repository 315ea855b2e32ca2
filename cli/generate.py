"""`dln generate`: a prompt in, a clip out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError

from .options import ConfigFile, Device, DryRun, Force, Json, Precision, Quiet, Seed, Verbose
from .places import check_places, clip_paths, slug
from .progress import progress
from .show import Result, screen

if TYPE_CHECKING:
    from dln.core.generation.generate import Generated as Made
    from dln.core.models.registry import Spec

MAX_SEED = 2**31 - 1


class Engine(StrEnum):
    """What computes the model's graphs."""

    torch = "torch"
    onnx = "onnx"
    trt = "trt"


Prompt = Annotated[str, typer.Argument(help='What to show: "lion drinking".', show_default=False)]
ModelName = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME|RUN|FILE", help="A model, a run or its weights."),
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
    fps: Annotated[float | None, typer.Option(min=0.1, help="Frames a second.")] = None,
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
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a diffusion: fewer are faster.")
    ] = None,
    reconstruction: Annotated[
        float | None,
        typer.Option(min=0.0, help="How hard new frames are fitted to given ones; diffusion."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Clips, with seeds one after the other.")
    ] = 1,
    best_of: Annotated[
        int,
        typer.Option(min=1, help="Candidates for each clip; the recognizer keeps the best one."),
    ] = 1,
    engine: Annotated[Engine, typer.Option(help="What computes the model.")] = Engine.torch,
    precision: Annotated[
        Precision, typer.Option(help="Of --engine onnx and trt.")
    ] = Precision.fp32,
    graphs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The export to run; default: exports/, else a cache."),
    ] = None,
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
    """Turn a prompt into a video file.

    \b
    Examples:
      dln generate "lion drinking"
      dln generate "лев пьёт воду" --seed 7
      dln generate "cat dancing" --count 4 --out clips/ --frames 32
      dln generate "lion drinking" --image lion.png
      dln generate "chick drinking" --best-of 4
      dln generate "lion drinking" --model runs/mine --out lion.gif
      dln generate "lion drinking" --engine onnx
    """
    if engine is Engine.torch and (graphs or precision is not Precision.fp32):
        raise UsageError("--precision and --graphs are of exported graphs.", "--engine onnx")
    check_prompt(prompt, model)
    check_rank(prompt, best_of)
    first = draw_seed() if seed is None else seed
    seeds = seeds_from(first, count)
    paths = clip_paths(slug(prompt) or slug(Path(model).stem) or "clip", seeds, out)
    wish = dict(frames=frames, fps=fps, guidance=guidance, temperature=temperature, top_p=top_p,
                image=image, last_image=last_image, steps=steps,
                reconstruction=reconstruction)  # fmt: skip
    wanted = Runner(engine, precision, graphs, device)
    job = Job(prompt, model, seeds, paths, wanted, given(wish), native, force, best_of)
    check_places(paths, force)
    if dry_run:
        return intention(job)
    return summary(job, fulfil(job, preview, drawn=seed is None))


@dataclass(frozen=True)
class Runner:
    """What computes, and where."""

    engine: Engine
    precision: Precision
    graphs: Path | None
    device: str

    def open(self, loaded: Any) -> Any:
        """The engine; None for PyTorch, which core knows by itself."""
        if self.engine is Engine.torch:
            return None
        from dln.export.open import open_engine

        names = self.engine.value, loaded, self.device, self.precision.value
        return open_engine(*names, on_note=screen.note, folder=self.graphs)


@dataclass(frozen=True)
class Job:
    """What was asked for, resolved: paths[i] gets the clip of seeds[i]."""

    prompt: str
    model: str
    seeds: Sequence[int]
    paths: Sequence[Path]
    runner: Runner
    wish: dict[str, Any]
    native: bool
    force: bool
    best_of: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        named = {"model": self.model, "prompt": self.prompt, "seed": self.seeds[0]}
        runner = {"engine": self.runner.engine.value, "device": self.runner.device}
        if self.runner.engine is not Engine.torch:
            runner["precision"] = self.runner.precision.value
        ranked = {"best_of": self.best_of} if self.best_of > 1 else {}
        return named | runner | ranked | self.wish


def given(wish: dict[str, Any]) -> dict[str, Any]:
    """Only what was asked for, so that the model's own defaults stand elsewhere."""
    return {name: value for name, value in wish.items() if value is not None}


def check_prompt(prompt: str, model: str) -> None:
    """UsageError where the named model cannot take this prompt; a file is asked once loaded."""
    from dln.core.models.registry import MODELS

    spec = MODELS.get(model)
    if spec is not None:
        check_fit(prompt, spec)


def check_fit(prompt: str, spec: "Spec") -> None:
    """UsageError for a model that makes no clips, lacks a prompt, or would leave one unread."""
    if not spec.generates:
        raise UsageError(f"{spec.name} makes no clips: its task is {spec.task}.", "dln models list")
    if spec.text and not prompt.strip():
        raise UsageError(f"{spec.name} needs a prompt.", 'dln generate "lion drinking"')
    if prompt.strip() and not spec.text:
        raise UsageError(f"{spec.name} reads no prompt.", f"dln generate --model {spec.name}")


def check_rank(prompt: str, best_of: int) -> None:
    """UsageError where there are candidates and the prompt names nothing to rank them by."""
    if best_of > 1:
        from dln.core.generation.best import named

        named(prompt)


def draw_seed() -> int:
    from random import SystemRandom

    return SystemRandom().randint(0, MAX_SEED)


def seeds_from(first: int, count: int) -> range:
    seeds = range(first, first + count)
    if seeds[-1] > MAX_SEED:
        raise UsageError(f"seed {seeds[-1]} is too large: {MAX_SEED} is the last one.")
    return seeds


def fulfil(job: Job, preview: bool | None, drawn: bool) -> list["Made"]:
    """Load the model once, then make, write and play each clip in turn; say a drawn seed."""
    from dln.core.models.package import load_model

    loaded = load_model(job.model)
    check_fit(job.prompt, loaded.spec)
    if drawn:
        screen.note(f"seed {job.seeds[0]}")
    playing = wants_preview(preview)
    engine, made = job.runner.open(loaded), []
    for seed, path in zip(job.seeds, job.paths, strict=True):
        result = make(job, loaded, seed, engine)
        write(result, path, job.native, job.force)
        made.append(result)
        if playing:
            show_clip(result.clip, loops=2 if len(job.paths) == 1 else 1)
    return made


def make(job: Job, loaded: Any, seed: int, engine: Any) -> "Made":
    from dln.core.models.request import Request

    request = Request(prompt=job.prompt, seed=seed, **job.wish)
    with progress() as report:
        options: Any = dict(engine=engine, device=job.runner.device, on_progress=report)
        result = computed(loaded, request, job.best_of, options)
    for remark in result.notes:
        screen.note(remark)
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in result.seconds.items())
    screen.detail(f"seed {seed}: {seconds}")
    return result


def computed(loaded: Any, request: Any, best_of: int, options: Any) -> "Made":
    """One clip, or the best of several; what each scored is said where details are asked for."""
    if best_of == 1:
        from dln.core.generation.generate import generate as compute

        return compute(loaded, request, **options)
    from dln.core.generation.best import generate_best

    best = generate_best(loaded, request, best_of, **options)
    for number, each in enumerate(best.candidates):
        kept = ", kept" * (number == best.winner)
        screen.detail(f"candidate {number}, seed {each.seed}: score {each.score:.3f}{kept}")
    return best


def write(result: "Made", path: Path, native: bool, force: bool) -> None:
    from dln.core.media.clip import write_clip

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write into {path.parent}: {error.strerror}.") from error
    scale = 1 if native else None
    write_clip(result.clip, path, receipt=result.receipt, scale=scale, overwrite=force)


def wants_preview(preview: bool | None) -> bool:
    """Whether to play: asked for or on a terminal, and never into a result for programs."""
    from .preview import can_play

    if preview is False or screen.json or screen.quiet:
        return False
    able = can_play()
    if preview and not able:
        screen.note("no preview: it takes a terminal with colours on stdin and stdout.")
    return able


def show_clip(clip: Any, loops: int) -> None:
    """Play the clip; a terminal that answers oddly costs the preview, never the clip."""
    from .preview import play

    try:
        play(clip, loops)
    except Exception as error:
        screen.note(f"no preview: {error}")


def intention(job: Job) -> Result:
    """What --dry-run shows: each setting that was resolved, and each file that would be made."""
    paths = [str(path) for path in job.paths]
    lines = [f"{name} {value}" for name, value in job.settings.items()]
    lines += [f"would write {path}" for path in paths]
    return Result({"dry_run": True, **job.settings, "paths": paths}, "\n".join(lines), paths)


def summary(job: Job, made: Sequence["Made"]) -> Result:
    notes = list(dict.fromkeys(remark for result in made for remark in result.notes))
    paths = [str(path) for path in job.paths]
    clips = [account(*each) for each in zip(paths, job.seeds, made, strict=True)]
    return Result({**job.settings, "clips": clips, "notes": notes}, "\n".join(paths), paths)


def account(path: str, seed: int, result: "Made") -> dict[str, Any]:
    """One clip's entry in the JSON object; of several candidates, the seed is the winner's."""
    frames, height, width = result.clip.frames.shape[:3]
    size = {"frames": frames, "height_px": height, "width_px": width, "fps": result.clip.fps}
    times = {f"{name}_s": round(value, 4) for name, value in result.seconds.items()}
    return {"path": path, "seed": seed, **size, **times, **ranking(result)}


def ranking(result: Any) -> dict[str, Any]:
    """Of the best of several: every candidate with its score, which one won, and its own seed."""
    candidates = getattr(result, "candidates", [])
    if not candidates:
        return {}
    told = [{"seed": each.seed, "score": each.score} for each in candidates]
    return {"seed": told[result.winner]["seed"], "winner": result.winner, "candidates": told}
