"""`dln data`: the built-in worlds, and your own videos and images."""

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError, closest, short

from .caption import CAPTIONER, LOOKS, Captioner, Looks, captioning
from .clips import Engine
from .options import ConfigFile, Device, FixedSeed, Force, Json, Quiet, Verbose, size_of
from .places import check_writable
from .progress import progress
from .show import Result, screen, table

if TYPE_CHECKING:
    from dln.core.data.report import Report

app = typer.Typer(name="data", help="The built-in clips, and your own.")

MOST_CLIPS = 1_000_000  # that are rendered at once
WIDEST = 16384  # pixels of a picture, of which no video player need know
# What of a world's facts can be asked for.
NAMED = ("actors", "actions", "scenes", "places", "seasons", "weathers", "times")
FOLDER = "a folder with metadata.csv (file_name, text), or one .txt beside each video"
SHARDS = "'shards-{000..099}.tar' as webdataset writes them (key.mp4 beside key.txt or key.cls)"


@app.command("list")
def list_data(
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """List what --data takes.

    \b
    Examples:
      dln data list
      dln data list --quiet
    """
    entries = [
        {"name": "menagerie", "about": "captioned cartoon clips, drawn on the fly from a seed"},
        {
            "name": "vistas",
            "about": "captioned landscapes through hours and seasons; vistas,camera=ride or "
            "camera=panorama; place=, season=, weather=, hour= pin what is seen",
        },
        {
            "name": "digits",
            "about": "1,797 real handwritten digits; digits,noise=0.2 mislabels some",
        },
        {"name": "DIR", "about": f"your videos: {FOLDER}"},
        {
            "name": "DIR",
            "about": "your images: a folder for each class, or train/ and val/ of such",
        },
        {"name": "SHARDS", "about": f"tars of either: {SHARDS}"},
    ]
    rows = [tuple(entry.values()) for entry in entries]
    return Result(
        {"data": entries}, table(("name", "what"), rows), ["menagerie", "vistas", "digits"]
    )


@app.command("show")
def show_data(
    name: Annotated[str, typer.Argument(help="menagerie, vistas, a folder, or tars.")],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Show what can be asked for in a data set.

    \b
    Examples:
      dln data show menagerie
      dln data show vistas,camera=ride
      dln data show my-videos/ --json
    """
    if name == "menagerie":
        facts = menagerie_facts()
    else:
        facts = vistas_facts(name) if name.split(",")[0] == "vistas" else folder_facts(name)
    rows = [(key.replace("_", " "), listed(value)) for key, value in facts.items()]
    words = [word for key in NAMED for word in facts.get(key, [])]
    return Result(facts, table(("", name), rows), words or facts["words"])


def menagerie_facts() -> dict[str, Any]:
    from dln.core.data import menagerie

    held_out = [f"{actor} {action}" for actor, action in sorted(menagerie.HELD_OUT)]
    return {
        "name": "menagerie",
        "actors": list(menagerie.ACTORS),
        "actions": list(menagerie.ACTIONS),
        "scenes": list(menagerie.SCENES),
        "speeds": list(menagerie.SPEEDS),
        "held_out_pairs": held_out,
        "clip_s": menagerie.CLIP_SECONDS,
    }


def vistas_facts(name: str) -> dict[str, Any]:
    """UsageError where its options say what there is not."""
    from dln.core.data import open_source, vistas

    source = open_source(name)
    return {
        "name": source.name,
        "cameras": list(vistas.CAMERAS),
        "places": list(source.classes),
        "seasons": list(vistas.SEASONS),
        "weathers": list(vistas.WEATHERS),
        "times": list(vistas.TIMES),
        "clip_s": vistas.CLIP_SECONDS,
    }


def folder_facts(name: str) -> dict[str, Any]:
    """UsageError where there is no such data set or folder."""
    from dln.core.data import open_source

    with progress() as shown:
        source = open_source(name, on_progress=shown)
    total = round(sum(source.duration(index) for index in range(len(source))), 3)
    return {"name": name, "clips": len(source), "total_s": total, "words": source.words()}


def listed(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


@app.command("render")
def render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the clips go.")],
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=MOST_CLIPS, help="How many.")
    ] = 16,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="menagerie, or vistas,camera=ride,season=winter ...")
    ] = "menagerie",
    size: Annotated[
        str, typer.Option(metavar="N|WIDTHxHEIGHT", help="Pixels, even, 16 to 2048 a side.")
    ] = "64",
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second.")] = 8.0,
    seed: FixedSeed = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Render clips of a built-in world and their captions into a folder that --data takes.

    Panoramas (vistas,camera=panorama) become png, up to 16384 pixels wide.

    \b
    Examples:
      dln data render clips/ --count 16
      dln data render clips/ --size 128x72 --fps 16 --seed 3
      dln data render rides/ --data vistas,camera=ride --size 256x144 --count 3
    """
    from dln.core.data import open_source
    from dln.core.data.render import render_folder

    sides = size_of(size)
    source = open_source(data, count=count, seed=seed, held_out=None)
    widest = WIDEST if source.pictures else 2048
    if not all(16 <= side <= widest for side in sides):
        raise UsageError(f"--size is 16 to {widest} pixels a side, not {size}", "--size 64")
    check_writable(folder)
    with progress() as report:
        metadata = render_folder(
            source,
            folder,
            count,
            size=sides,
            fps=fps,
            on_progress=lambda done, total: report(done, total, "clips"),
            overwrite=force,
        )
    found = {"path": str(folder), "clips": count, "metadata": str(metadata), "seed": seed}
    return Result(found, str(folder), [str(folder)])


@app.command("check")
def check(
    place: Annotated[
        str, typer.Argument(metavar="DIR|SHARDS", help="A folder of videos, or tars of samples.")
    ],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Decode every video of a folder, or sample of tars, and list what cannot be used.

    Exit code 1 where nothing in it is usable. What was found is kept until a file changes.

    \b
    Examples:
      dln data check my-videos/
      dln data check my-videos/ --json
      dln data check 'shards-{000..099}.tar'
    """
    from dln.core.data import check_source, names_shards

    folder = Path(place)
    if not names_shards(place) and not os.path.isdir(folder):
        near = closest(short(folder.name), [path.name for path in siblings(folder)])
        raise UsageError(
            f"There is no folder {short(place)}.{near}", "dln data render DIR makes one"
        )
    with progress() as shown:
        report = check_source(place, shown)
    problems, notes = ([asdict(each) for each in told] for told in (report.problems, report.notes))
    data = {"path": place, "usable": report.sound, "total_s": report.seconds,
            "captions": report.captions, "problems": problems, "notes": notes}  # fmt: skip
    files = [problem["file"] for problem in problems]
    return Result(data, findings(report), files, exit_code=0 if report.sound else 1)


def findings(report: "Report"):
    """The problems and notes as a table, or one sentence where there are none."""
    usable = f"{report.folder}: {report.sound} clips, {report.seconds:.1f} s, can be used."
    rows = [(problem.file, problem.kind, problem.reason) for problem in report.problems]
    rows += [(note.file, "note", f"it {note.text}") for note in report.notes]
    if not rows:
        return usable
    return table(("file", "problem", "why"), rows, title=f"{usable} {report.skipped()}")


@app.command("caption")
def caption_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Videos and pictures.")],
    model: Captioner = CAPTIONER,
    frames: Looks = LOOKS,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = Engine.torch,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Write metadata.csv for a folder that has no captions: a model tells what each clip shows.

    --force writes it anew for a folder that has captions, whatever they are.

    \b
    Examples:
      dln data caption clips/ --model runs/pictures
      dln data caption clips/ --model runs/pictures --frames 4 --force
    """
    from dln.core.generation.told import caption_folder

    check_captionable(folder, force)
    loaded, runner = captioning(model, engine, device)
    with progress() as report:
        made = caption_folder(loaded, folder, runner, frames, report)
    for problem in made.problems:
        screen.note(f"{problem.file}: {problem.reason}")
    data = {
        "path": str(folder),
        "metadata": str(made.metadata),
        "clips": made.clips,
        "left_out": [asdict(problem) for problem in made.problems],
    }
    shown = f"{made.metadata}: {made.clips} clips told in words."
    return Result(data, shown, [str(made.metadata)])


def check_captionable(folder: Path, force: bool) -> None:
    """UsageError for what is no folder, and for captions that would be written over."""
    from dln.core.data.listing import has_captions

    if not os.path.isdir(folder):
        near = closest(short(folder.name), [path.name for path in siblings(folder)])
        raise UsageError(f"There is no folder {short(str(folder))}.{near}")
    if has_captions(folder) and not force:
        raise UsageError(f"{folder} has captions.", "--force writes its metadata.csv anew")
    check_writable(folder)


def siblings(folder: Path) -> list[Path]:
    """The folders beside it, where they may be seen."""
    with suppress(OSError):
        parent = folder.absolute().parent
        return [path for path in parent.iterdir() if path.is_dir()]
    return []
