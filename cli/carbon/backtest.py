"""`dln carbon backtest`: what planning without foresight saves, on a year that it has not seen."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..options import Json, Quiet, Verbose
from ..show import Result, screen, table
from .schedule import Mode


class Planner(StrEnum):
    """The mean by month and hour of the fitted years, or the mean day of the last 28."""

    typical = "typical"
    recent28 = "recent28"


def backtest(
    file: Annotated[Path, typer.Argument(help="CSV: timestamp_utc,gco2_per_kwh, over years.")],
    fit: Annotated[list[int], typer.Option(metavar="YEAR", help="Years to learn (repeatable).")],
    score: Annotated[int, typer.Option(metavar="YEAR", help="The year to score.")],
    zone: Annotated[str | None, typer.Option(help="Of a file with several.")] = None,
    column: Annotated[str, typer.Option(help="Of the intensity.")] = "gco2_per_kwh",
    duration: Annotated[str, typer.Option(help="How long the job runs.")] = "8h",
    slack: Annotated[str, typer.Option(help="How much later it may end.")] = "24h",
    mode: Annotated[Mode, typer.Option(help="Choose the start, or pause and resume.")] = Mode.pause,
    source: Annotated[Planner, typer.Option(help="What plans.")] = Planner.typical,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Score a planner on a year that it has not seen, beside what was to be expected.

    \b
    Examples:
      dln carbon backtest grid.csv --fit 2021 --fit 2022 --score 2023
      dln carbon backtest grid.csv --fit 2021 --fit 2022 --score 2023 --source recent28 --json
    """
    from dln.core.carbon.backtest import backtest as run
    from dln.core.carbon.series import parse_duration, read_csv

    series = read_csv(file, column, zone)
    lasts, room = parse_duration(duration), parse_duration(slack)
    found = run(series, fit, score, lasts, room, mode.value, source.value)
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
