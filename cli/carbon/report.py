"""`dln carbon report`: what runs used and emitted, for people, papers and model cards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.errors import DlnError, UsageError
from dln.core.text.shown import in_utf8

from ..options import Force, Json, Quiet, Verbose
from ..places import check_places
from ..show import Result, number, table
from .compare import DEFAULT, chosen
from .grid import USUAL, Grid, grouped
from .region import located

if TYPE_CHECKING:
    from dln.core.carbon.emissions import Emissions


@grouped
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or audits' files.")
    ],
    region: Annotated[
        str | None,
        typer.Option("--region", "-r", metavar="REGION", help="Where they ran, if not said then."),
    ] = None,
    grid: Grid = USUAL,
    regions: Annotated[
        str, typer.Option(metavar="A,B|aws:*", help="Where else the energy is priced.")
    ] = DEFAULT,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The report's folder.")
    ] = (Path("carbon-report")),
    verify: Annotated[
        bool, typer.Option("--verify", help="Recompute the figures of the report.json given.")
    ] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Write report.html, report.md and report.json about finished runs.

    \b
    Examples:
      dln carbon report runs/cogvideo
      dln carbon report runs/a runs/b --region norway --out paper/carbon
      dln carbon report emissions-20300101T000000Z.json --region gb --source csv:measured.csv
      dln carbon report --verify carbon-report/report.json
    """
    from dln.core.carbon.page import names, write
    from dln.core.carbon.report import report as figures

    if verify:
        return verified(runs)
    if grid.source and not region and not grid.is_file:
        raise UsageError("--source belongs to a --region.", "dln carbon regions")
    check_places([out / name for name in names(len(runs))], force)
    found = [(in_utf8(path), run) for path, run in zip(runs, read(runs, region, grid), strict=True)]
    data = figures(found, chosen(regions))
    paths = [str(path) for path in write(out, data, [run for _, run in found])]
    rows = [
        (run["name"], run["energy_kwh"], run["region"], run["emissions_kg"], run["saving_percent"])
        for run in data["runs"]
    ]
    columns = ("run", "kWh", "region", "kg CO2e", "% saved by waiting")
    brief = [{k: v for k, v in run.items() if k not in ("intervals", "intensity")}
             for run in data["runs"]]  # fmt: skip
    shown = {"totals": data["totals"], "runs": brief, "paths": paths}
    return Result(shown, table(columns, rows, "report.html, report.md, report.json"), paths[:1])


def read(paths: list[Path], region: str | None, grid: Grid) -> "list[Emissions]":
    """The runs' records, with the intensities of the region or the file asked for."""
    from dln.core.carbon.emissions import Emissions

    found = [Emissions.load(path) for path in paths]
    if region is None and grid.source is None:
        grid.refuse()
        return found
    from dln.core.carbon.sources import usual

    place = located(region) if region else None
    source = grid.open(place, usual(place) if place else "")
    return [run.placed(place, source) for run in found]


def verified(paths: list[Path]) -> Result:
    """UsageError for what is no report, DlnError where a figure is not what its report says."""
    from dln.core.carbon.documents import ReportForm, read_document
    from dln.core.carbon.report import verify

    wrong: list[str] = []
    for path in paths:
        try:
            wrong += [f"{path}: {line}" for line in verify(read_document(ReportForm, path))]
        except UsageError as error:
            told = f"{path} is not a report.json that dln wrote: {error.message}"
            raise UsageError(told) from error
    if wrong:
        raise DlnError("; ".join(wrong[:5]), f"{number(len(wrong))} figures differ")
    what = f"every figure of {', '.join(map(str, paths))} follows from its intervals"
    return Result({"verified": [str(path) for path in paths]}, what, ["verified"])
