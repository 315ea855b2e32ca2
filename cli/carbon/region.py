"""--region, which may stand alone: then the command lists the regions."""

from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from .. import completion
from ..show import screen

if TYPE_CHECKING:
    from dln.core.carbon.places.regions import Region

RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        "-r",
        autocompletion=completion.regions,
        metavar="REGION",
        help="A place; alone it lists them.",
    ),
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


def located(text: str) -> "Region":
    """The region of that name. A note where the name is also that of a place with another figure;
    UsageError where there is none, or several of a kind."""
    from dln.core.carbon.places.kin import namesakes
    from dln.core.carbon.places.regions import find

    region = find(text)
    if others := namesakes(text, region):
        not_for = " or ".join(figured(other) for other in others)
        screen.note(f"{text!r} is taken for {figured(region)}, not for {not_for}.")
    return region


def figured(region: "Region") -> str:
    """Kind, code and figure."""
    from dln.core.carbon.places.annual import annual

    kind = "cloud region" if region.kind == "cloud" else region.kind
    return f"the {kind} {region.code} ({annual(region).g_per_kwh.expected:.0f} g/kWh)"
