"""`dln caption`: what does this picture or clip show?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from dln.core.errors import UsageError

from . import completion
from .clips import Engine, Runner
from .options import ConfigFile, Device, Json, Precision, Quiet, Verbose
from .progress import progress
from .show import Result

CAPTIONER, LOOKS = "cogview2", 8
Captioner = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        autocompletion=completion.weights,
        metavar="NAME|RUN|FILE",
        help="Whose words: cogview2's.",
    ),
]
Looks = Annotated[
    int,
    typer.Option(min=1, max=16, help="Frames of a clip that are looked at; each word is voted."),
]


def caption(
    file: Annotated[Path, typer.Argument(help="A picture or a clip.")],
    model: Captioner = CAPTIONER,
    frames: Looks = LOOKS,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = Engine.torch,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Tell in words what a picture or a clip shows.

    \b
    Examples:
      dln caption lion.mp4 --model runs/pictures
      dln caption lion.png --model runs/pictures --json
    """
    from dln.core.generation.told import caption_file

    loaded, runner = captioning(model, engine, device)
    with progress():
        text, seen = caption_file(loaded, file, runner, frames)
    data = {"path": str(file), "caption": text, "frames": seen, "model": model}
    return Result(data, text or "(nothing that it has words for)", [text])


def captioning(model: str, engine: Engine, device: str) -> tuple[Any, Any]:
    """The weights, and what runs them. UsageError for a model that tells no captions, and holds
    none that does."""
    from dln.core.models.locate import identify, part_of

    about = identify(model)
    if not about.captions:
        part = part_of(model, CAPTIONER)
        if part is None:
            raise UsageError(f"{model} holds {about.name}, which tells no captions.",
                             "dln train cogview2 --out runs/pictures")  # fmt: skip
        model = part
    runner = Runner(engine, Precision.fp32, None, device)
    from dln.core.models.package import load_model

    loaded = load_model(model)
    return loaded, runner.open(loaded)
