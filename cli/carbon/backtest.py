"""`dln carbon backtest`: what planning without foresight saves, on a year that it has not seen."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.carbon.values import Mode, Planner

from ..options import ConfigFile, Json, Quiet, Verbose
from ..show import Result, screen, table
from .grid import AS_IT_SAYS, FileOptions, grouped, remark

if TYPE_CHECKING:
    from dln.core.carbon.grid.hours import FileSeries
    from dln.core.carbon.values import Series


@grouped
def backtest(
    file: Annotated[Path, typer.Argument(help="CSV of intensities over years.")],
    fit: Annotated[list[int], typer.Option(metavar="YEAR", help="Years to learn (repeatable).")],
    score: Annotated[int, typer.Option(metavar="YEAR", help="The year to score.")],
    duration: Annotated[str, typer.Option(help="How long the job runs.")] = "8h",
    slack: Annotated[str, typer.Option(help="How much later it may end.")] = "24h",
    mode: Annotated[Mode, typer.Option(help="Choose the start, or pause and resume.")] = "pause",
    source: Annotated[Planner, typer.Option(help="What plans.")] = "typical",
    options: FileOptions = AS_IT_SAYS,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Score a planner on a year that it has not seen, beside what was to be expected.

    \b
    Examples:
      dln carbon backtest grid.csv --fit 2021 --fit 2022 --score 2023
      dln carbon backtest grid.csv --fit 2021 --fit 2022 --score 2023 --source recent28 --json
    """
    from dln.core.carbon.grid.moments import parse_duration
    from dln.core.carbon.grid.series import read_csv
    from dln.core.carbon.plan.backtest import backtest as run

    hours = read_csv(file, options.reading())
    remark(hours)
    series = spoken_of(hours, [*fit, score])
    lasts, room = parse_duration(duration), parse_duration(slack)
    found = run(series, fit, score, lasts, room, mode, source)
    if found.warning:
        screen.note(found.warning)
    data = {
        "source": found.planner,
        "mode": found.mode,
        "fitted_saving_percent": found.fitted,
        "expected_saving_percent": found.expected,
        "realised_saving_percent": found.realised,
        "oracle_saving_percent": found.oracle,
        "skill": found.skill,
        "starts": found.starts,
        "warning": found.warning,
        "label": series.label.to_json(),
    }
    rows = [
        ("in the fitted years, each planned by the others", f"{found.fitted:.1f} %"),
        ("expected at each start, of the four weeks before", f"{found.expected:.1f} %"),
        (f"realised in {score}", f"{found.realised:.1f} %"),
        ("with the future known", f"{found.oracle:.1f} %"),
        ("skill", f"{found.skill:.2f}"),
        ("starts", found.starts),
        ("signal", str(series.label)),
    ]
    return Result(data, table(("saving against starting at once", ""), rows), [str(found.realised)])


def spoken_of(hours: "FileSeries", years: list[int]) -> "Series":
    """The series from four weeks before the first of the years to the end of the last. UsageError
    where it has a hole there."""
    from dln.core.carbon.places.profiles import RECENT
    from dln.core.carbon.values import YEARS

    if any(year not in YEARS for year in years):
        return hours  # which the back-test refuses
    begin, end = (datetime(y, 1, 1, tzinfo=UTC) for y in (min(years), max(years) + 1))
    return hours.sound(begin - RECENT, end)
