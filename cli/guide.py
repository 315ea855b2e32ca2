"""`dln guide`: the manual, in the terminal."""

import os
import shutil
import sys
from typing import Annotated

import typer

from dln.core.errors import UsageError, closest, short

from .completion import subjects
from .options import Json, Quiet, Verbose
from .pages import read_pages, title_of
from .show import Result, is_piped, output, screen, table


def guide(
    subject: Annotated[
        str | None,
        typer.Argument(help="A page; the list of them.", autocompletion=subjects),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result | None:
    """Read the manual here: a page on a subject, or the list of subjects.

    On a terminal it opens in your pager ($PAGER); in a pipe it is the Markdown itself.

    \b
    Examples:
      dln guide
      dln guide api
    """
    pages = read_pages()
    if subject is None:
        rows = [(name, title_of(text)) for name, text in pages.items()]
        told = [{"name": name, "title": title} for name, title in rows]
        return Result({"subjects": told}, table(("subject", "about"), rows), list(pages))
    if subject not in pages:
        raise UsageError(f"the guide has no page on {short(subject)!r}.{closest(subject, pages)}",
                         "dln guide")  # fmt: skip
    text = pages[subject]
    data = {"subject": subject, "title": title_of(text), "markdown": text}
    if screen.json or screen.quiet or is_piped(sys.stdout):
        return Result(data, text.rstrip("\n"), text.splitlines())
    from rich.markdown import Markdown

    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return Result(data, Markdown(text))
    page(Markdown(text))
    return None


def page(drawn: object) -> None:
    """In the user's pager, coloured where that is known to bear it."""
    pager = os.environ.get("PAGER", "less")
    coloured = "less" in pager and shutil.which(pager.split()[0]) is not None
    os.environ.setdefault("LESS", "FRX")  # colours, and no waiting for what fits the window
    console = output()
    with console.pager(styles=coloured):
        console.print(drawn)
