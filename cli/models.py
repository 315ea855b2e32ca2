"""`dln models`: the systems that dln knows, and their weights: bundled, trained, imported."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.text.rows import rows_of
from dln.core.text.shown import on_one_line

from . import completion
from .held import COLUMNS, account, in_megabytes, row_of, shipped
from .options import Force, Json, Quiet, Verbose
from .places import RUNS, check_places, file_named
from .show import Result, facts, screen, table

if TYPE_CHECKING:
    from dln.core.models.about import About

app = typer.Typer(name="models", help="The systems that dln knows, and their weights.")


@app.command("list")
def list_models(
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """List the models, and the weights that are here: bundled ones, runs in runs/ and files in this
    folder, each with its size, when it was written and how good it is by its own measure.

    \b
    Examples:
      dln models list
      dln models list --quiet
    """
    from rich.console import Group

    from dln.core.models.registry import MODELS
    from dln.core.runs.shelf import runs_in, weights_in

    entries = [entry(spec) for spec in MODELS.values()]
    columns = ("name", "task", "presets", "weights", "paper")
    rows = [(e["name"], e["task"], ", ".join(e["presets"]), e["weights"], e["paper"])
            for e in entries]  # fmt: skip
    own = [account(each) for each in (*runs_in(RUNS), *weights_in(Path()))]
    there = [*(account(each, bundled=True) for each in shipped()), *own]
    drawn = (table(columns, rows), "", table(COLUMNS, [row_of(each) for each in there]))
    names = [e["name"] for e in (*entries, *own)]
    return Result({"models": entries, "weights": there}, Group(*drawn), names)


@app.command("rm")
def remove_model(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.held, metavar="RUN|FILE", help="A run, or a file of weights."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Remove a run with its checkpoints, samples and record of energy, or a file of weights.

    It asks first. What a run did not write stays in its folder. A run that is being trained stays,
    and so do the weights that came with dln.

    \b
    Examples:
      dln models rm runs/mine
      dln models rm sky.safetensors --yes
    """
    from dln.core.runs.shelf import held_file, held_run, remove_file, remove_run

    refuse_bundled(name)
    path = Path(name)
    run = os.path.isdir(path)
    found = held_run(path) if run else held_file(located(name))
    if found.state == "training":
        raise UsageError(f"{path} is being trained by another process.", "dln models list")
    if not yes:
        confirm(f"Remove {found.name} ({found.about.name}, {in_megabytes(found.size)})?")
    left = remove_run(path) if run else remove_file(path)
    for each in left or []:
        screen.note(f"{path / each} stays: no run wrote it")
    data = {"removed": str(path), "freed_bytes": found.size, "left": left or []}
    return Result(
        data, f"removed {on_one_line(str(path))}, {in_megabytes(found.size)}", [str(path)]
    )


def refuse_bundled(name: str) -> None:
    """UsageError for the name of a model or of weights that came with dln."""
    from dln.core.models.registry import MODELS

    if name in MODELS or any(name in spec.further for spec in MODELS.values()):
        raise UsageError(f"{name} is a model that came with dln, not a run or a file.",
                         "dln models list")  # fmt: skip


def located(name: str) -> Path:
    """The file of that name. UsageError where there is none."""
    from dln.core.models.locate import locate

    return locate(name)


def confirm(question: str) -> None:
    """Ask on the terminal; "no" is an interruption. UsageError where nobody sits there."""
    if screen.json or not sys.stdin.isatty():
        raise UsageError("whether to remove it cannot be asked here.", "--yes, if you mean it")
    typer.confirm(on_one_line(question), abort=True, err=True)


@app.command("show")
def show_model(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.weights,
            metavar="NAME|RUN|FILE",
            help="A model, a run or its weights.",
        ),
    ],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Show one model: what it is, its presets, and the card of its weights; of a run also what it
    was started with.

    --verbose counts the parameters of each preset, which loads torch.

    \b
    Examples:
      dln models show cogvideo
      dln models show runs/mine
      dln models show cogvideo --json --verbose
    """
    from dln.core.models.locate import read_header

    spec, path, run = found(name)
    card = read_header(path).card if path else None
    data = {**entry(spec), "title": spec.title, "default_preset": spec.default_preset,
            "takes": list(spec.takes), "gives": spec.gives, "settings": settings_of(spec),
            "weights_path": path and str(path), "further_weights": list(spec.further),
            "card": card, **run}  # fmt: skip
    if run:
        data["weights"] = "trained" if path else "not yet"
    if screen.verbose:
        data["parameters"] = count_parameters(spec)
    apart = ("settings", "card", *run)
    rows = [*rows_of({key: value for key, value in data.items() if key not in apart}),
            *told(data["settings"]), *rows_of({"card": card}), *rows_of(run)]  # fmt: skip
    return Result(data, facts(rows, spec.title), [str(path or "")])


@app.command("import")
def import_model(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What others published: .pkl, .pt, .pth.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Whose weights; told by the file."),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="FILE", help="The second, where weights come in two files."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="FILE.safetensors if left out."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Make weights that others published into a file of ours, without running anything in theirs.

    What comes of it is all that --model of other commands needs; whose weights they are, and of
    what sizes, the file tells. A pickle can run programs when it is opened the usual way. Here it
    is not: tensors and containers are read out of its bytes, classes stay names, and source text
    in it stays text. The weights keep their authors' licence.

    \b
    Examples:
      dln models import sky.pkl
      dln models import sky.pkl --model stylegan-v --out sky.safetensors
      dln models import small-frames.pkl --with large-frames.pkl --out ride.safetensors
    """
    from dln.core.files import claimed

    path = file_named(out or f"{Path(file).stem or 'weights'}.safetensors", ".safetensors")
    check_places([path], force)
    with claimed(path):
        check_places([path], force)
        return imported(file, model, other, path)


def imported(file: str, model: str | None, other: str | None, path: Path) -> Result:
    """What `dln models import` shows of the file that it has written."""
    from dataclasses import asdict

    from dln.core.files import known_sha256
    from dln.core.models.imported import import_published
    from dln.core.models.package import save_model

    made = import_published(Path(file), model, None if other is None else Path(other))
    save_model(path, made.model, made.card)
    if made.drawn:
        screen.note(f"{file} has no {made.drawn}: drawn anew, and not needed for clips")
    numbers = sum(parameter.numel() for parameter in made.model.parameters())
    data = {"path": str(path), "model": made.about.name, "parameters": numbers,
            "sha256": known_sha256(path), "config": asdict(made.model.config),
            "card": made.card}  # fmt: skip
    return Result(data, facts(list(rows_of(data)), made.about.title), [str(path)])


def found(name: str) -> "tuple[About, Path | None, dict[str, Any]]":
    """The model that a name, a run or a file of weights stands for, where its weights lie, and what
    else a run tells. UsageError for a name of nothing."""
    from dln.core.models.locate import identify, locate
    from dln.core.models.registry import MODELS, find
    from dln.core.runs.shelf import held_run
    from dln.core.training.contents import CONFIG, read_record

    if name in MODELS:
        return MODELS[name], weights_of(MODELS[name]), {}
    run = Path(name)
    if not os.path.isfile(run / CONFIG):
        return identify(name), locate(name), {}
    record, lies = read_record(run), account(held_run(run))
    weights = run / "model.safetensors"
    spec = identify(name) if os.path.isfile(weights) else find(str(record.get("model")))
    told = {key: record[key] for key in ("options", "data") if key in record}
    lying = {key: lies[key] for key in ("state", "size_bytes", "written", "measure")}
    return spec, weights if os.path.isfile(weights) else None, {"run": str(run), **lying, **told}


def entry(spec: "About") -> dict[str, Any]:
    """What the list says of a model."""
    return {
        "name": spec.name,
        "task": spec.task,
        "presets": list(spec.presets),
        "weights": "bundled" if weights_of(spec) else "none",
        "paper": spec.paper or None,
        "generates": spec.generates,
    }


def weights_of(spec: "About") -> Path | None:
    """The bundled weights' file, or None."""
    from dln.core.errors import MissingCapability
    from dln.core.models.locate import bundled

    with suppress(MissingCapability):
        return bundled(spec)
    return None


def count_parameters(about: "About") -> dict[str, int]:
    """Parameters of each preset, counted on the meta device: nothing is allocated."""
    import torch

    from dln.core.data import open_source
    from dln.core.runs.build import build

    source = open_source("menagerie")
    with torch.device("meta"):
        built = {name: build(about, name, {}, source) for name in about.presets}
    return {name: sum(p.numel() for p in model.parameters()) for name, model in built.items()}


def settings_of(about: "About") -> list[dict[str, Any]]:
    """What its sampler can be told with --set: name, default, range, one line of help."""
    from dataclasses import fields

    from dln.core.models.settings import limits

    return [
        {"name": field.name, "default": field.default, "range": limits(field),
         "help": field.metadata["help"]}
        for field in fields(about.settings)
    ]  # fmt: skip


def told(settings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The settings as a person reads them: how each is set, what it is for, its range, its
    default."""
    return [
        (
            f"--set {s['name']}=",
            "; ".join(
                [s["help"], *filter(None, [s["range"]])]
                + ([] if s["default"] is None else [f"default {s['default']}"])
            ),
        )
        for s in settings
    ]
