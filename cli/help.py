"""`dln help`: what --help says, by the other name that people try."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Annotated

import typer

from .called import called
from .completion import commands
from .options import Json, Quiet, Verbose
from .show import Result, screen


def help(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]", help="Which; all of them.", autocompletion=commands),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result | None:
    """Show the help of a command, as its --help does; of dln itself where none is named.

    \b
    Examples:
      dln help
      dln help generate
      dln help models show
    """
    context = called(words or [])
    if screen.quiet:
        return Result({}, "", [context.get_usage()])
    if not screen.json:
        typer.echo(context.get_help())
        return None
    with redirect_stdout(StringIO()) as drawn:  # rich prints it, and returns nothing
        text = context.get_help()
    return Result({"help": f"{drawn.getvalue()}{text}".strip()}, "")
