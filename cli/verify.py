"""`dln verify`: is this clip what its receipt says?"""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import DlnError, MissingCapability
from dln.core.text.shown import on_one_line
from dln.core.threads import Load

from . import completion
from .clips import Engine, Runner, watched
from .options import ConfigFile, Device, Json, Precision, Quiet, Verbose
from .progress import progress
from .show import Result, screen


def verify(
    file: Annotated[Path, typer.Argument(help="A clip that dln made, or the folder of an export.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            autocompletion=completion.weights,
            metavar="NAME|RUN|FILE",
            help="Where its weights lie now.",
        ),
    ] = None,
    graphs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the export lies now that made the clip."),
    ] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Make a clip again from its receipt and compare it frame by frame.

    Of an export: compare the files with their hashes, and run each graph beside the model again.
    Exit code 0: equal. 1: it differs. 2: no receipt. 3: the weights are not here.

    \b
    Examples:
      dln verify lion-drinking-7.mp4
      dln verify lion.gif --model runs/mine --json
      dln verify lion.mp4 --graphs exports/cogvideo-fp32
      dln verify exports/cogvideo-fp32
    """
    if os.path.isdir(file):
        return verify_export(file, model, device)
    opened = partial(engine_called, load=watched())
    from dln.core.generation.verify import verify as compare

    with progress() as report:
        found = compare(file, model=model, device=device, graphs=graphs, open_engine=opened,
                        on_progress=report)  # fmt: skip
    for remark in found.notes:
        screen.note(remark)
    verdict = "equal" if found.equal else "differs"
    data = {
        "path": str(file),
        "equal": found.equal,
        "first_difference_frame": found.first_difference,
        "max_difference": found.max_difference,
        "notes": list(found.notes),
    }
    return Result(
        data,
        on_one_line(f"{file}: {sentence(found)}"),
        [verdict],
        exit_code=0 if found.equal else 1,
    )


def verify_export(folder: Path, model: str | None, device: str) -> Result:
    """An export is equal where every file is what was written and computes what the model does."""
    from dln.core.models.package import load_model
    from dln.export.graph_files import recheck
    from dln.export.manifest import read_manifest

    manifest = read_manifest(folder)
    name = model or manifest["model"]
    try:
        loaded = load_model(name)
    except DlnError as error:
        raise MissingCapability(f"The weights of {name} are not here: {error}", "--model RUN or "
                                "--model FILE says where they lie.") from error  # fmt: skip
    with progress() as report:
        found = recheck(folder, loaded, device, report)
    executed = manifest["precision"] != "bf16"
    data = {"path": str(folder), "equal": True, "executed": executed, "graphs": found}
    return Result(data, on_one_line(f"{folder}: {proven_words(manifest, executed)}"), ["equal"])


def proven_words(manifest: dict[str, Any], executed: bool) -> str:
    """What the second look at an export has shown, and what of it was not run."""
    words = f"{len(manifest['graphs'])} graphs, each of which computes what the model does."
    if not executed:
        words = (
            f"{len(manifest['graphs'])} graphs with the hashes that they were written with. ONNX "
            "Runtime does not execute bf16: the model in bf16 was held against it, not the files."
        )
    if engines := len(manifest["engines"]):
        words += f" {engines} engines have their hashes; they were not run."
    return words


def engine_called(name: str, loaded: Any, device: str, graphs: Path | None, load: Load) -> Any:
    """The engine of a receipt: "torch", "onnx" or "trt", a precision behind a dash. graphs: the
    export to run, else as everywhere."""
    engine, _, precision = name.partition("-")
    known = Engine(engine), Precision(precision or Precision.fp32)
    return Runner(*known, graphs, device, load).open(loaded)


def sentence(found) -> str:
    if found.equal:
        return "equal to what its receipt makes, frame by frame."
    if found.first_difference is None:
        return "differs from what its receipt makes in its number of frames or their size."
    return (
        f"differs from what its receipt makes, from frame {found.first_difference} on, "
        f"by up to {found.max_difference} of 255."
    )
