"""`dln plot`: how trainings went, as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .options import ConfigFile, Force, Json, Quiet, Verbose
from .places import check_places, file_named
from .show import Result


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Their folders.", autocompletion=completion.held),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE.png", help="Where to draw.")
    ] = "curves.png",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Draw every number that trainings told against the step: losses, scores, what was measured.

    Several runs lie in the same panels. A run that is still being trained is drawn as far as it is.

    \b
    Examples:
      dln plot runs/mine
      dln plot runs/mine runs/other --out both.png
    """
    from dln.core.training.contents import read_record
    from dln.core.training.run import Run

    path = file_named(out, ".png")
    check_places([path], force)
    opened = [Run(run, read_record(run, "dln models list")) for run in dict.fromkeys(runs)]
    from dln.core.runs.curves import plot_curves

    points = plot_curves(path, opened)
    data = {"path": str(path), "runs": [{"run": r, "points": n} for r, n in points.items()]}
    return Result(data, str(path), [str(path)])
