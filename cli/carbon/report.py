"""`dln carbon report`: what runs used and emitted, for people, papers and model cards."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.carbon.report.seal import SEAL
from dln.core.errors import DlnError, UsageError
from dln.core.text.shown import in_utf8

from .. import completion
from ..options import ConfigFile, Force, Json, Quiet, Verbose
from ..places import check_places
from ..show import Result, number, table
from .account import Embodied, Market, Per, check_making
from .compare import DEFAULT, chosen
from .grid import USUAL, Grid, grouped
from .region import located

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dln.core.carbon.meter.emissions import Emissions
    from dln.core.carbon.report.report import Subject


@grouped
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or audits' files.")
    ],
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            "-r",
            autocompletion=completion.regions,
            metavar="REGION",
            help="Where they ran, if not said then.",
        ),
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
    intensity: Market = None,
    embodied: Embodied = None,
    per: Per = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Write report.html, report.md and report.json about finished runs.

    co2_eq_emissions.yaml beside them is for the head of a model card. --intensity 0 says that all
    of the electricity was own generation or is covered by certificates; the grid's figure stays.

    \b
    Examples:
      dln carbon report runs/cogvideo
      dln carbon report runs/a runs/b --region norway --out paper/carbon
      dln carbon report emissions-20300101T000000Z.json --region gb --source csv:measured.csv
      dln carbon report runs/cogvideo --region norway --embodied 8xH100 --per step
      dln carbon report clips.json --region norway --intensity 0 --embodied server --per 24:clip
      dln carbon report --verify carbon-report/report.json
    """
    from dln.core.carbon.report.page import names, write
    from dln.core.carbon.report.report import report as figures
    from dln.core.runs.metering import training_type

    if verify:
        return verified(runs)
    grid.refuse()
    if grid.source and not region and not grid.is_file:
        raise UsageError("--source belongs to a --region.", "dln carbon regions")
    check_places([out / name for name in names(len(runs))], force)
    found = zip(runs, read(runs, region, grid), strict=True)
    subjects = [subject(path, run, intensity, embodied, per) for path, run in found]
    data = figures(subjects, chosen(regions))
    records = [one.run for one in subjects]
    paths = [str(path) for path in write(out, data, records, training_type(runs))]
    brief = [{k: v for k, v in run.items() if k not in ("intervals", "intensity")}
             for run in data["runs"]]  # fmt: skip
    shown = {"totals": data["totals"], "runs": brief, "paths": paths, SEAL: data[SEAL]}
    return Result(shown, drawn(data, paths), paths[:1])


def drawn(data: dict[str, Any], paths: list[str]) -> "RenderableType":
    """The headline, a row a run, and what was written."""
    from rich.console import Group
    from rich.text import Text

    from dln.core.carbon.report.told import headline

    columns, rows = shown_runs(data["runs"])
    written = Text(f"written: {', '.join(paths)}")
    return Group(Text("\n".join(headline(data))), "", table(columns, rows), written)


def shown_runs(runs: list[dict[str, Any]]) -> tuple[list[str], list[list[str | None]]]:
    """A row a run; only the columns that one of them fills."""
    from dln.core.carbon.costs.amounts import masses, percent
    from dln.core.carbon.report.told import emitted, used
    from dln.core.carbon.values import Spread

    rows = [
        {
            "run": run["name"],
            "energy used": used(run["energy_kwh"]),
            "region": run["region"],
            "emitted": emitted(run["emissions_kg"]),
            "market-based": run["market_kg"] is not None and emitted(run["market_kg"]),
            "saved by waiting": run["saving_percent"] is not None
            and percent(run["saving_percent"]),
            "making the machines": run["embodied"]
            and f"{masses(Spread.from_json(run['embodied'], 'embodied_kg'))} CO2e",
            "SCI": run["sci"]
            and f"{masses(Spread.from_json(run['sci'], 'sci_kg_per_unit'))} a {run['sci']['unit']}",
        }
        for run in runs
    ]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    return columns, [[row[name] or None for name in columns] for row in rows]


def subject(
    path: Path, run: "Emissions", intensity: float | None, embodied: str | None, per: str | None
) -> "Subject":
    """The run at `path` and what is asked about it. UsageError where that cannot be told."""
    from dln.core.carbon.costs.embodied import machines, work
    from dln.core.carbon.report.report import Subject
    from dln.core.carbon.values import stated_grams
    from dln.core.runs.metering import steps_of

    check_making(embodied, per)
    if intensity is not None:
        run = replace(run, market_g_per_kwh=stated_grams(intensity))
    if per and run.kwh is None:
        raise UsageError(f"the SCI counts energy, and none was measured in {path}.",
                         "--embodied without --per")  # fmt: skip
    if per and run.kg is None:
        raise UsageError(f"the SCI counts by the grid of the place: that of {path} is not known.",
                         "--region norway")  # fmt: skip
    made_by = machines(embodied) if embodied else None
    return Subject(in_utf8(path), run, made_by, work(per, steps_of(path)) if per else None)


def read(paths: list[Path], region: str | None, grid: Grid) -> "list[Emissions]":
    """The runs' records, with the intensities of the region or the file asked for."""
    from dln.core.carbon.meter.emissions import Emissions

    found = [Emissions.load(path) for path in paths]
    if region is None and grid.source is None:
        return found
    place = located(region) if region else None
    opened = grid.open(place)
    return [run.placed(place, opened) for run in found]


def verified(paths: list[Path]) -> Result:
    """UsageError for what is no report, DlnError where it is not what was written."""
    from dln.core.carbon.report.integrity import verify
    from dln.core.door import read_bytes

    wrong: list[str] = []
    sums: dict[str, str] = {}
    notes: list[str] = []
    for path in paths:
        text = read_bytes(path)
        try:
            found = verify(text, str(path))
        except UsageError as error:
            told = f"{path} is not a report.json that dln wrote: {error.message}"
            raise UsageError(told) from error
        wrong += [f"{path}: {line}" for line in found.wrong]
        notes += found.notes
        sums[str(path)] = found.checksum
    if wrong:
        raise DlnError("; ".join(wrong[:5]), f"{number(len(wrong))} entries differ")
    lines = [
        f"every figure of {', '.join(sums)} follows from its intervals and intensities",
        *notes,
        *(f"SHA-256 {value}  {name}: compare it with the one in report.html, or your own note"
          for name, value in sums.items()),
    ]  # fmt: skip
    data = {"verified": list(sums), "checksums": sums, "notes": notes}
    return Result(data, "\n".join(lines), ["verified"])
