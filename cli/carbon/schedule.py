"""`dln carbon schedule`: when to run, and whether waiting is worth it."""

import shlex
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.errors import UsageError

from ..options import Json, Quiet, Verbose
from ..places import check_writable
from ..show import Result, table
from .pace import moment_of
from .region import RegionOption
from .regions import regions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dln.core.carbon.embedded import Skill
    from dln.core.carbon.plan import Plan
    from dln.core.carbon.values import Series

LEVELS = "▁▂▃▄▅▆▇█"
WIDTH = 96  # steps drawn in a line


class Mode(StrEnum):
    """One run without a break, or one that pauses."""

    start = "start"
    pause = "pause"


def schedule(
    region: RegionOption = None,
    duration: Annotated[str, typer.Option(help="How long it runs: 8h, 90min.")] = "8h",
    slack: Annotated[str, typer.Option(help="How much later it may end.")] = "24h",
    mode: Annotated[Mode, typer.Option(help="Choose the start, or pause and resume.")] = Mode.pause,
    source: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="typical, csv:FILE, recent28:FILE, gb, watttime ..."),
    ] = "typical",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it could begin; default now.")
    ] = None,
    pause_cost: Annotated[
        str, typer.Option(metavar="TIME", help="Running time that one pause costs.")
    ] = "0min",
    min_block: Annotated[
        str, typer.Option(metavar="TIME", help="The shortest stretch worth starting for.")
    ] = "0min",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the plan: plan.json.")
    ] = None,
    command: Annotated[
        str, typer.Option(help="What the lines for cron, at and Slurm start.")
    ] = "dln train cogvideo",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Plan a run into the cleanest hours: Flexible Start or Pause and Resume.

    \b
    Examples:
      dln carbon schedule --region us-cal-ciso --duration 8h --slack 24h --mode start
      dln carbon schedule --region de --duration 36h --slack 36h -o plan.json
      dln carbon schedule --region gb --source csv:year.csv --start 2022-06-01T00:00Z
    """
    from dln.core.carbon.embedded import skill
    from dln.core.carbon.plan import Job, make_plan
    from dln.core.carbon.regions import find
    from dln.core.carbon.series import parse_duration
    from dln.core.carbon.sources import open_source

    if region == "":
        return regions()
    if region is None:
        raise UsageError("there is no region by default.", "dln carbon regions")
    if out:
        check_writable(out.parent)
    place = find(region)
    job = Job(
        parse_duration(duration),
        parse_duration(slack),
        mode.value,
        parse_duration(pause_cost),
        parse_duration(min_block),
    )
    begin = moment_of(start) or datetime.now(UTC)
    plan, series = make_plan(job, place, open_source(source, place), begin)
    if out:
        plan.save(out)
    lines = plan.lines(command)
    tested = skill(place, mode.value) if source == "typical" else None
    data = {**plan.to_json(), "path": out and str(out), "lines": lines, **figures(tested)}
    drawing = drawn(plan, series, lines, out, tested)
    return Result(data, drawing, [str(out)] if out else brief(plan))


def figures(tested: "Skill | None") -> dict[str, float | None]:
    """What a back-test of the zone says about such plans."""
    return {
        "skill": tested and tested.share,
        "backtest_saving_percent": tested and tested.saving,
        "oracle_saving_percent": tested and tested.oracle,
    }


def brief(plan: "Plan") -> list[str]:
    from dln.core.carbon.values import iso

    return [f"{iso(start)} {iso(end)}" for start, end in plan.blocks]


def drawn(
    plan: "Plan",
    series: "Series",
    lines: dict[str, str],
    out: Path | None,
    tested: "Skill | None",
) -> "RenderableType":
    """Blocks, hours, what is saved and what that is worth."""
    from rich.console import Group

    rows = [
        (f"{start:%a %d %b %H:%M}", f"{end:%a %d %b %H:%M}", f"{start.astimezone():%d %b %H:%M}")
        for start, end in plan.blocks
    ]
    parts = [
        table(("from (UTC)", "to (UTC)", "from (here)"), rows),
        *hours(plan, series),
        *verdict(plan, tested),
        str(series.label),
    ]
    if plan.label.signal == "average":
        parts.append("average intensity: an attributional change, not emissions avoided")
    if out:
        parts.append(f"dln train ... --carbon-plan {shlex.quote(str(out))} follows it")
    return Group(*parts, lines["at"])


def hours(plan: "Plan", series: "Series") -> list[str]:
    """The intensity as a line of blocks, and below it where the run goes."""
    values = series.g_per_kwh
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / max(high - low, 1e-9) * (len(LEVELS) - 1)
    top = "".join(LEVELS[round(level)] for level in scaled.tolist())
    runs = [any(a <= series.time(i) < b for a, b in plan.blocks) for i in range(len(values))]
    below = "".join("━" if run else " " for run in runs)
    lines = [f"{low:.0f} to {high:.0f} g/kWh from {series.start:%d %b %H:%M} UTC"]
    for first in range(0, len(values), WIDTH):
        lines += [top[first : first + WIDTH], below[first : first + WIDTH]]
    return lines


def verdict(plan: "Plan", tested: "Skill | None") -> list[str]:
    """What is saved, how sure that is, and whether it is worth the wait."""
    lines = [
        f"{plan.g_per_kwh:.0f} g/kWh instead of {plan.at_once:.0f} at once: "
        f"{plan.saving_percent:.1f} % less"
    ]
    if plan.foresight:
        lines.append("with the future known: the most that can be had")
    else:
        lines.append(f"as the source '{plan.source}' has it; what comes will differ")
    if tested:
        lines.append(
            f"back-test of the zone, 8 h within 24 h more: such plans saved {tested.saving:.1f} %, "
            f"with the future known {tested.oracle:.1f} % (skill {tested.share:.2f})"
        )
    elif plan.source == "typical":
        lines.append("no back-test of this zone is known: dln carbon backtest makes one")
    if not plan.worth_it:
        lines.append("not worth waiting: below 3 %")
    return lines
