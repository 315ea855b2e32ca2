"""`dln carbon compare`: the same energy in many places."""

from pathlib import Path
from typing import Annotated

import typer

from dln.core.errors import UsageError, short

from ..options import ConfigFile, Force, Json, Quiet, Verbose
from ..places import check_places
from ..show import Result, table
from .region import located

# Where the paper's 16 Azure regions lie, as far as their grids are told apart.
DEFAULT = (
    "azure:eastus,azure:centralus,azure:northcentralus,azure:southcentralus,azure:westcentralus,"
    "azure:westus,azure:westus2,azure:canadacentral,azure:francecentral,azure:germanywestcentral,"
    "azure:uksouth,azure:norwayeast,azure:northeurope,azure:westeurope,azure:australiaeast"
)
BAR = 30  # characters


def compare(
    kwh: Annotated[float, typer.Option(help="Energy of the run.")],
    regions: Annotated[
        str, typer.Option(metavar="A,B|aws:*", help="Which; default: Azure's of the paper.")
    ] = DEFAULT,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.png", help="Draw the bars.")
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Rank regions by what a run of so many kWh would emit there.

    Where data lie and what moving them costs is not counted.

    \b
    Examples:
      dln carbon compare --kwh 37.3
      dln carbon compare --kwh 37.3 --regions norway,france,germany,poland
      dln carbon compare --kwh 100 --regions 'aws:*' --out regions.png
    """
    from dln.core.carbon.costs.amounts import mass, masses
    from dln.core.carbon.places.cleaner import comparison
    from dln.core.carbon.values import MOST_KWH, Spread, within

    within(kwh, "--kwh", MOST_KWH)
    if out:
        check_picture(out, force)
    data = comparison(kwh, chosen(regions))
    most = max(row["intensity_g_per_kwh"] for row in data)
    rows = []
    for row in data:
        emitted, label = Spread.from_json(row, "emissions_kg"), row["label"]
        bar = "█" * max(1, round(BAR * row["intensity_g_per_kwh"] / most))
        rows.append((row["region"], row["name"], mass(emitted.expected), masses(emitted), bar,
                     label["year"], label["factors"]))  # fmt: skip
    columns = ("region", "name", "CO2e", "low / expected / high", "", "year", "factors")
    brief = [f"{row['region']} {row['emissions_kg']:.6g}" for row in data]
    if out:
        draw(out, data)
    shown = {"energy_kwh": kwh, "regions": data, "path": out and str(out)}
    return Result(shown, table(columns, rows), brief)


def check_picture(path: Path, force: bool) -> None:
    """UsageError where none can be made at `path`, or something is there already."""
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path} is no picture.", "--out regions.png")
    check_places([path], force)


def draw(path: Path, rows: list[dict]) -> None:
    """The ranking as a picture, in the format that the name says."""
    from dln.core.carbon.report.pictures import bars
    from dln.core.files import atomic_write, make_folder

    picture = bars(rows, path.suffix[1:])
    make_folder(path.parent)
    with atomic_write(path) as file:
        file.write(picture)


def chosen(text: str) -> list:
    """The regions of "a,b,aws:*"; one that is named twice counts once."""
    from dln.core.carbon.places.regions import regions as every

    found = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word.endswith(":*"):
            alike = [r for r in every() if r.code.startswith(word[:-1])]
            if not alike:
                raise UsageError(f"no cloud {short(word)!r}.", "aws:*, azure:* or gcp:*")
        else:
            alike = [located(word)]
        found |= {region.code: region for region in alike}
    if not found:
        raise UsageError("--regions names none.", "--regions norway,france")
    return list(found.values())
