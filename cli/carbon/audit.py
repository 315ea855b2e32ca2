"""`dln carbon audit`: run any command, and know what it used and emitted."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.files import disk_errors, make_folder
from dln.core.text.shown import in_utf8

from .. import completion
from ..options import ConfigFile, Force, Json, Quiet, Verbose
from ..places import check_places
from ..progress import clock
from ..show import Result, errors, screen, table
from .account import ScopeOption, Stated, account_of
from .grid import USUAL, Grid, grouped
from .pace import PaceOptions

if TYPE_CHECKING:
    from dln.core.carbon.meter.emissions import Emissions
    from dln.core.carbon.meter.meter import Meter
    from dln.core.carbon.meter.recorder import Recorder


@grouped
def audit(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="What to run.")],
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            "-r",
            autocompletion=completion.regions,
            metavar="REGION",
            help="Where it runs; else energy alone.",
        ),
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
    intensity: Stated = None,
    scope: ScopeOption = "machine",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: emissions-<time>.json."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result | int:
    """Run a command, meter it, and stop and resume it with everything that it starts.

    Its output stays on stdout (with --json: on stderr), its exit code is kept, and nothing stays
    stopped however this ends. The whole machine is metered, or with --scope process the share of
    what the command starts. Settings of codecarbon's own, in files or the environment, change
    nothing.

    \b
    Examples:
      dln carbon audit --region norway -- python train.py
      dln carbon audit --plan plan.json -- sh -c 'prepare | train'
      dln carbon audit --region gb --pause-above 150 --deadline 2030-01-01T00:00Z -- make
      dln carbon audit --region norway --intensity 0 --scope process -- python train.py
    """
    from dln.core.carbon.meter.audit import audit as run
    from dln.core.carbon.meter.outside import beyond
    from dln.core.carbon.meter.processes import check_command
    from dln.core.carbon.meter.recorder import Recorder

    check_command(command)
    account = account_of(scope, intensity)
    schedule, place = PaceOptions(
        plan, pause_above, region, grid, deadline, pue, "--plan"
    ).resolve()  # fmt: skip
    check(out, force)
    if warning := beyond(command):
        screen.note(warning)
    made: list[Recorder] = []

    def recorder(meter: "Meter", submitted: datetime | None) -> Recorder:
        path = taken(out, force)
        made.append(Recorder(path, in_utf8(shlex.join(command)), place, submitted=submitted,
                             account=account, meter=meter))  # fmt: skip
        return made[0]

    output = sys.stderr if screen.json else None
    counted = account.scope if account else "machine"
    code = run(command, recorder, schedule, tell, output, counted, screen.note)
    if not made:
        return code
    found, path = made[0].record, made[0].path
    for note in made[0].notes:
        screen.note(note)
    data = facts(found) | {"path": str(path), "exit_code": code}
    if screen.json:
        return Result(data, "", exit_code=code)
    if not screen.quiet:
        errors().print(table(("", "measured or estimated"), rows(made[0], path)))
    return code


def check(out: Path | None, force: bool) -> None:
    """UsageError where something is there already, or no record can be made."""
    path = out or Path("emissions.json")
    check_places([path], force or out is None)
    make_folder(path.parent)


def taken(out: Path | None, force: bool) -> Path:
    """The record's file, which is this run's from now on: no other run gets the same name, though
    it begin in the same second. UsageError where there is such a file by now."""
    if out and force:
        return out
    for path in [out] if out else default_paths():
        with disk_errors(path), suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path
    raise UsageError(f"{out} is there already.", "--force to overwrite it, or --out")


def default_paths() -> Iterator[Path]:
    stem = f"emissions-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return (Path(f"{stem}{f'-{number}' if number > 1 else ''}.json") for number in count(1))


def tell(running: bool) -> None:
    screen.note("goes on" if running else "waits for cleaner hours")


def facts(found: "Emissions") -> dict[str, Any]:
    """The record without its intervals."""
    table = found.to_json()
    del table["intervals"], table["intensity"]
    return table | {"label": found.intensity and found.intensity.label.to_json()}


def rows(recorder: "Recorder", path: Path) -> list[tuple[str, object]]:
    """What a person wants to know after the run."""
    from dln.core.carbon.costs.amounts import lasting

    found = recorder.record
    times = clock(found.running_seconds)
    if found.paused_seconds:
        times += f", paused for {clock(found.paused_seconds)}"
    missed = found.not_measured_seconds
    return [
        ("time", times),
        *([("no meter for", lasting(missed))] if missed else []),
        ("energy", used(found)),
        *((name, how) for name, how in found.power.items()),
        *emitted(found, recorder.problem),
        *market(found),
        ("record", str(path)),
    ]


def used(found: "Emissions") -> str:
    from dln.core.carbon.costs.amounts import energy

    if found.kwh is None:
        return "not measured"
    scope = "" if found.scope == "machine" else ", its processes' share"
    return f"{energy(found.kwh)}, PUE {found.pue:g}{scope}"


def market(found: "Emissions") -> list[tuple[str, object]]:
    """By what the user says of the electricity."""
    from dln.core.carbon.costs.amounts import mass
    from dln.core.carbon.report.told import rate

    if found.market_g_per_kwh is None:
        return []
    kg = "not measured" if found.market_kg is None else f"{mass(found.market_kg)} CO2e"
    return [("market-based", f"{kg}, at {rate(found.market_g_per_kwh)} as stated")]


def emitted(found: "Emissions", problem: str | None) -> list[tuple[str, object]]:
    """By the grid of the region. problem: why its intensities are not known, which a note says."""
    from dln.core.carbon.costs.amounts import mass
    from dln.core.carbon.report.told import rate

    if found.intensity is not None and found.kwh is None:
        return [("emissions", "not measured")]
    if problem:
        return [("emissions", "not known")]
    if found.intensity is None or found.kg is None:
        if found.market_g_per_kwh is not None and not found.region:
            return []
        return [("emissions", "not known without a --region or --source csv:FILE")]
    return [
        ("emissions", f"{mass(found.kg)} CO2e" + (f" in {found.region}" if found.region else "")),
        ("intensity", rate(found.g_per_kwh)),
        ("had it started at once", f"{mass(found.at_once_kg or 0.0)} CO2e"),
        ("signal", str(found.intensity.label)),
    ]
