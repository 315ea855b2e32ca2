"""`dln gallery`: clips with their receipts, and trainings, as one page."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Force, Json, Quiet, Verbose
from .places import check_places, file_named
from .progress import progress
from .show import Result, screen

MOST_NOTES = 5


def gallery(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR|RUN|FILE]...",
            help="Folders, runs and single files; this folder and its runs/ where left out.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE.html", help="The page to write.")
    ] = "gallery.html",
    link: Annotated[
        bool,
        typer.Option("--link", help="Refer to the files where they lie; the page stays small."),
    ] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Write one HTML file that shows clips and pictures (mp4, webm, gif, png) with what made them
    and the lines that make them again, and runs with their curves, samples, energy and card.

    It opens in any browser, without network. Files of up to 20 MB, 64 MB in all, lie in the page
    itself; others are linked, and must stay where they are beside it.

    \b
    Examples:
      dln gallery
      dln gallery clips --out lions.html
      dln gallery runs/mine runs/other clips
      dln gallery clips --link
    """
    path = file_named(out, ".html")
    check_places([path], force)
    from dln.core.study.gallery.contents import gather
    from dln.core.study.gallery.page import write

    sections = gather(paths or [Path()], link)
    with progress() as report:
        told = write(path, sections, report)
    for reason in list(told.damaged.values())[:MOST_NOTES]:
        screen.note(reason)
    if len(told.damaged) > MOST_NOTES:
        screen.note(f"{len(told.damaged) - MOST_NOTES:,} more cannot be shown; the page says why")
    data = {
        "path": str(path),
        "bytes": told.size,
        "runs": told.runs,
        "in_page": told.held,
        "linked": told.linked,
        "named": told.rest,
        "damaged": [{"path": name, "reason": why} for name, why in told.damaged.items()],
    }
    return Result(data, str(path), [str(path)])
