"""--region, which may stand alone: then the command lists the regions."""

from typing import Annotated

import typer
from typer.core import TyperCommand

RegionOption = Annotated[
    str | None,
    typer.Option("--region", "-r", metavar="REGION", help="A place; alone it lists them."),
]


class BareRegion(TyperCommand):
    """Gives a --region without a value the empty text, which Typer itself cannot."""

    def parse_args(self, ctx, args):  # pyright: ignore[reportIncompatibleMethodOverride]
        full: list[str] = []
        for number, word in enumerate(args):
            full.append(word)
            following = args[number + 1 : number + 2]
            if word in ("--region", "-r") and (not following or following[0].startswith("-")):
                full.append("")
        return super().parse_args(ctx, full)
