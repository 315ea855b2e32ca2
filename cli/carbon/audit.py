"""`dln carbon audit`: run any command, and know what it used and emitted."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.files import make_folder
from dln.core.text.shown import in_utf8

from ..options import Force, Json, Quiet, Verbose
from ..places import check_places
from ..progress import clock
from ..show import Result, errors, screen, table
from .grid import USUAL, Grid, grouped
from .pace import Carbon

if TYPE_CHECKING:
    from dln.core.carbon.emissions import Emissions


@grouped
def audit(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="What to run.")],
    region: Annotated[
        str | None,
        typer.Option("--region", "-r", metavar="REGION", help="Where it runs; else energy alone."),
    ] = None,
    grid: Grid = USUAL,
    pue: Annotated[
        float | None, typer.Option(help="Facility over machine energy; default 1.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Stop and resume it by a plan of dln carbon schedule."),
    ] = None,
    pause_above: Annotated[
        float | None, typer.Option(metavar="G", help="Stop it while the grid is above G g/kWh.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on run whatever the grid is.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: emissions-<time>.json."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result | int:
    """Run a command, meter it, and stop and resume it with everything that it starts.

    Its output stays on stdout (with --json: on stderr), its exit code is kept, and nothing stays
    stopped however this ends. The whole machine is metered.

    \b
    Examples:
      dln carbon audit --region norway -- python train.py
      dln carbon audit --plan plan.json -- sh -c 'prepare | train'
      dln carbon audit --region gb --pause-above 150 --deadline 2030-01-01T00:00Z -- make
    """
    from dln.core.carbon.audit import audit as run
    from dln.core.carbon.recorder import Recorder

    schedule, place = Carbon(
        plan, pause_above, region, grid, deadline, pue, "--plan"
    ).resolve()  # fmt: skip
    path = target(out, force)
    made: list[Recorder] = []

    def recorder(submitted: datetime) -> Recorder:
        made.append(Recorder(path, in_utf8(shlex.join(command)), place, submitted=submitted))
        return made[0]

    code = run(command, recorder, schedule, tell, sys.stderr if screen.json else None)
    if not made:
        return code
    found, problem = made[0].record, made[0].problem
    if problem:
        screen.note(f"energy is recorded, its carbon is not: {problem}")
    data = facts(found) | {"path": str(path), "exit_code": code}
    if screen.json:
        return Result(data, "", exit_code=code)
    if not screen.quiet:
        errors().print(table(("", "measured or estimated"), rows(found, path)))
    return code


def target(out: Path | None, force: bool) -> Path:
    """Where the record goes; UsageError where something is there already, or nothing can be."""
    path = out or Path(f"emissions-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    check_places([path], force)
    make_folder(path.parent)
    return path


def tell(running: bool) -> None:
    screen.note("goes on" if running else "waits for cleaner hours")


def facts(found: "Emissions") -> dict[str, Any]:
    """The record without its intervals."""
    table = found.to_json()
    del table["intervals"], table["intensity"]
    return table | {"label": found.intensity and found.intensity.label.to_json()}


def rows(found: "Emissions", path: Path) -> list[tuple[str, object]]:
    """What a person wants to know after the run."""
    times = clock(found.running_seconds)
    if found.paused_seconds:
        times += f", paused for {clock(found.paused_seconds)}"
    return [
        ("time", times),
        ("energy", f"{found.kwh:.4g} kWh, PUE {found.pue:g}"),
        *((name, how) for name, how in found.power.items()),
        *emitted(found),
        ("record", str(path)),
    ]


def emitted(found: "Emissions") -> list[tuple[str, object]]:
    if found.intensity is None or found.kg is None:
        return [("emissions", "not known without a --region or --source csv:FILE")]
    return [
        ("emissions", f"{found.kg:.4g} kg CO2e" + (f" in {found.region}" if found.region else "")),
        ("intensity", f"{found.g_per_kwh or 0:.4g} g/kWh"),
        ("had it started at once", f"{found.at_once_kg:.4g} kg CO2e"),
        ("signal", str(found.intensity.label)),
    ]
