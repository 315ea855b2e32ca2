"""`dln film`: subtitles in, a film out, every line a clip, with sound."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.text.shown import on_one_line

from . import completion
from .asked import check_able
from .clips import Engine, Job, Runner, held, sampler_settings
from .options import (
    ConfigFile,
    Device,
    DryRun,
    FixedSeed,
    Force,
    GraphPrecision,
    Graphs,
    Json,
    Precision,
    Quiet,
    SamplerSettings,
    Verbose,
    size_of,
)
from .places import check_places, file_named
from .progress import progress
from .show import Result, screen

if TYPE_CHECKING:
    from dln.core.generation.film import Film, Made
    from dln.core.generation.shots import Script
    from dln.core.models.about import About

SUFFIXES = (".mp4", ".webm")
PARTS = ".parts"  # after the film's name: where its clips lie until it is whole


def film(
    story: Annotated[
        Path, typer.Argument(metavar="STORY", help="Subtitles: srt, vtt, ass or ssa.")
    ],
    audio: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is heard; default: nothing.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            autocompletion=completion.weights,
            metavar="NAME|RUN|FILE",
            help="A model that reads prompts, a run or its weights.",
        ),
    ] = "cogvideo",
    blend: Annotated[
        float, typer.Option(metavar="SECONDS", help="A line fades in over the one before; 0 cuts.")
    ] = 0.0,
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="A picture each, of models that make no clips."),
    ] = 1.0,
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Frames a second; default: 24 or a little more."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Of the film in pixels.")
    ] = None,
    settings: SamplerSettings = None,
    encoding: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of the subtitles, where they are no UTF-8."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="What computes; auto: ONNX Runtime where that takes no export.")
    ] = Engine.auto,
    precision: GraphPrecision = Precision.fp32,
    graphs: Graphs = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="PATH", help="An mp4 or webm; default: STORY.mp4."),
    ] = None,
    seed: FixedSeed = 0,
    device: Device = "auto",
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Turn subtitles into a film: each line is a prompt, and shown for its time.

    Ctrl-C and kills lose nothing: the same line again goes on.

    \b
    Examples:
      dln film story.srt
      dln film story.srt --audio song.mp3 --out film.mp4
      dln film story.vtt --model video-diffusion --blend 0.5 --fps 24
      dln film story.srt --size 1280x720 --dry-run
    """
    runner = Runner(engine, precision, graphs, device)
    path = file_named(out or f"{story.stem}.mp4", *SUFFIXES)
    check_film_places(path, story, audio, force)
    told: dict[str, Any] = dict(fps=fps, size=size and size_of(size), blend=blend, every=every)
    told["settings"] = sampler_settings(settings)
    script, about, notes = read_script(story, encoding, model, seed, told)
    job = Job("", model, [seed], [path], runner, {}, native=False, force=force)
    planned = plan(job, about, script)
    given = {"audio": audio and str(audio), "notes": notes}
    if dry_run:
        return intention(job, planned, given)
    made, ran = shoot(job, script, audio)
    return summary(planned, made, facts_of(job, planned) | job.ran(ran) | given)


def check_film_places(path: Path, story: Path, audio: Path | None, force: bool) -> None:
    """UsageError where the film cannot be written, would take the place of what it is made of, or
    where its sound cannot be read."""
    from dln.core.media.sound import check_sound

    for given in filter(None, (story, audio)):
        if path.exists() and given.exists() and path.samefile(given):
            raise UsageError(f"{path} is what the film is made of.", "another --out")
    check_places([path], force)
    if audio is not None:
        check_sound(audio)


def read_script(
    story: Path, encoding: str | None, model: str, seed: int, told: dict[str, Any]
) -> "tuple[Script, About, list[str]]":
    """What is to be filmed, the model that is to make it, and what the user should know, before
    PyTorch is loaded. UsageError for subtitles and words that it cannot take."""
    from dln.core.generation.shots import Script, check_words, line_seed
    from dln.core.models.locate import identify, look
    from dln.core.text.subtitles import read_subtitles
    from dln.core.text.vocabulary import Vocabulary

    lines, notes = read_subtitles(story, encoding)
    script = Script(lines, [line_seed(seed, line.number) for line in lines], **told)
    about = identify(model)
    if not about.text:
        raise UsageError(f"{about.name} reads no prompts: no film comes of it.", "dln models list")
    words = look(model).vocabulary
    check_words(script.lines, None if words is None else Vocabulary(words), about)
    for remark in notes:
        screen.note(remark)
    return script, about, notes


def plan(job: Job, about: "About", script: "Script") -> "Film":
    """The film to the frame. MissingCapability, UsageError for what this machine or these weights
    cannot do."""
    from dln.core.generation.film import planned
    from dln.core.media.rates import check_rate
    from dln.core.models.package import config_of

    check_able(job)
    config = config_of(job.model)
    found = planned(about, config, script, job.runner.named, job.runner.is_torch)
    check_rate(float(found.script.rate), job.paths[0].suffix)
    return found


def shoot(job: Job, script: "Script", audio: Path | None) -> "tuple[Made, str]":
    """Make the film; where clips of it are there already, go on. What computed, too."""
    from dln.core.generation.film import Studio, make_film, planned
    from dln.core.models.package import load_model

    path = job.paths[0]
    with held(job, path), progress() as report:
        loaded = load_model(job.model)
        folder = path.with_name(f"{path.name}{PARTS}")
        able = partial(planned, loaded.about, loaded.model.config, script)
        engine, device = job.runner.open(loaded, able), job.runner.device
        studio = Studio(loaded, script, folder, engine, device, report)
        if there := len(studio.keys) - studio.missing():
            screen.note(f"{there} of {len(studio.keys)} clips are there already")
        return make_film(studio, path, job.seeds[0], audio, job.force), engine.name


def intention(job: Job, film: "Film", given: dict[str, Any]) -> Result:
    """What --dry-run shows: every line's frames, and the file that would be made."""
    from dln.core.text.subtitles import clock

    path, lines = str(job.paths[0]), told_lines(film)
    rows = [
        f"{clock(round(1000 * each['start_s']))}  line {each['number']}, {each['frames']} frames, "
        f"seed {each['seed']}: {each['prompt']}"
        for each in lines
    ]
    rows.append(f"{len(lines)} lines, {film.script.frames} frames at {film.script.fps:g} a second, "
                f"{film.seconds:g} s of film, {len(film.takes)} clips")  # fmt: skip
    rows.append(f"would write {path}")
    data = {"dry_run": True, **facts_of(job, film), **given, "lines": lines, "path": path}
    return Result(data, "\n".join(map(on_one_line, rows)), [path])


def facts_of(job: Job, film: "Film") -> dict[str, Any]:
    """What is told of a film, whether it is made or would be."""
    asked = {name: value for name, value in job.settings.items() if name != "prompt"}
    return asked | {
        "fps": film.script.fps,
        "frames": film.script.frames,
        "film_s": film.seconds,
        "clips": len(film.takes),
    }


def told_lines(film: "Film") -> Sequence[dict[str, Any]]:
    """A line each: when, which frames, what makes it."""
    return [
        {
            "number": shot.line.number,
            "prompt": shot.line.text,
            "seed": shot.takes[0].request.seed,
            "start_s": shot.line.start / 1000,
            "end_s": shot.line.end / 1000,
            "first_frame": shot.first,
            "frames": shot.frames,
            "clips": len(shot.takes),
        }
        for shot in film.shots
    ]


def summary(film: "Film", made: "Made", facts: dict[str, Any]) -> Result:
    height, width = made.size
    data = facts | {"height_px": height, "width_px": width, "made_clips": made.made}
    path = str(made.path)
    return Result(data | {"lines": told_lines(film), "path": path}, path, [path])
