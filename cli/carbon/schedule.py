"""`dln carbon schedule`: when to run, and whether waiting is worth it."""

import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dln.core.carbon.values import Mode, ceil
from dln.core.errors import UsageError

from ..options import ConfigFile, Force, Json, Quiet, Verbose
from ..places import check_places
from ..progress import clock
from ..show import Result, table
from .grid import USUAL, Grid, grouped
from .pace import moment_of
from .region import RegionOption, located
from .regions import regions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dln.core.carbon.grid.sources import IntensitySource
    from dln.core.carbon.places.embedded import Skill
    from dln.core.carbon.places.regions import Region
    from dln.core.carbon.plan.plan import Job, Plan
    from dln.core.carbon.values import Series

LEVELS = "▁▂▃▄▅▆▇█"
SOON = timedelta(minutes=5)  # a start on the next whole ones can still be told to others
WIDTH = 96  # steps drawn in a line
SHOWN = 200  # blocks
STARTED = {
    "now": "it begins now:",
    "cron": "cron, both lines in a crontab:",
    "at": "at:",
    "slurm": "Slurm:",
}


@grouped
def schedule(
    region: RegionOption = None,
    duration: Annotated[str, typer.Option(help="How long it runs: 8h, 90min.")] = "8h",
    slack: Annotated[str, typer.Option(help="How much later it may end.")] = "24h",
    mode: Annotated[Mode, typer.Option(help="Choose the start, or pause and resume.")] = "pause",
    grid: Grid = USUAL,
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
        str | None,
        typer.Option(
            metavar="LINE",
            help="What the lines for cron, at and Slurm start; default: dln train cogvideo.",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Plan a run into the cleanest hours: Flexible Start or Pause and Resume.

    \b
    Examples:
      dln carbon schedule --region us-cal-ciso --duration 8h --slack 24h --mode start
      dln carbon schedule --region de --duration 36h --slack 36h -o plan.json
      dln carbon schedule --source csv:year.csv --start 2022-06-01T00:00Z
      dln carbon schedule --source csv:times.csv --column Wert --unit t/MWh --timezone Europe/Berlin
    """
    from dln.core.carbon.grid.moments import parse_duration
    from dln.core.carbon.plan.plan import Job, make_plan
    from dln.core.files import make_folder

    if region == "":
        return regions()
    grid.refuse()
    if region is None and not grid.is_file:
        raise UsageError("there is no region by default.", "dln carbon regions")
    if out:
        check_places([out], force)
    place = located(region) if region else None
    job = Job(
        parse_duration(duration),
        parse_duration(slack),
        mode,
        parse_duration(pause_cost),
        parse_duration(min_block),
    )
    begin, opened = moment_of(start) or ceil(datetime.now(UTC), SOON), grid.open(place, "typical")
    tested = skill_of(opened, place, begin, job)
    plan, series = make_plan(job, place, opened, begin, tested.kept if tested else 1.0)
    lines = starting(plan, command, out, grid)
    if out:
        make_folder(out.parent)
        plan.save(out)
    data = {**plan.to_json(), "path": out and str(out), "lines": lines, **figures(tested)}
    drawing = drawn(plan, series, lines, tested)
    return Result(data, drawing, [str(out)] if out else brief(plan))


def starting(plan: "Plan", command: str | None, out: Path | None, grid: Grid) -> dict[str, str]:
    """The lines that start the command, with the plan and its source where it has to be followed:
    none for one with pauses that is not kept."""
    from dln.core.carbon.plan.starts import check_line, following, lines

    line = "dln train cogvideo" if command is None else command
    check_line(line)
    paused = len(plan.blocks) > 1
    if out and (paused or command is None):
        # Cron starts elsewhere.
        line = following(line, Path(os.path.abspath(out)), grid.words())
    elif paused:
        return {}
    return lines(plan, line, datetime.now(UTC))


def skill_of(
    source: "IntensitySource", place: "Region | None", begin: datetime, job: "Job"
) -> "Skill | None":
    """How good such plans were: of the zone's typical hours, or of the file's last days before."""
    from dln.core.carbon.grid.sources import Recent
    from dln.core.carbon.places.embedded import skill
    from dln.core.carbon.plan.backtest import skill_so_far

    if place and source.name == "typical":
        return skill(place, job.mode)
    if isinstance(source, Recent):
        return skill_so_far(source.data, begin, job.duration, job.slack, job.mode)
    return None


def figures(tested: "Skill | None") -> dict[str, float | None]:
    """What a back-test says about such plans."""
    return {
        "skill": tested and tested.share,
        "backtest_promised_percent": tested and tested.promised,
        "backtest_saving_percent": tested and tested.saving,
        "oracle_saving_percent": tested and tested.oracle,
    }


def brief(plan: "Plan") -> list[str]:
    from dln.core.carbon.values import iso

    return [f"{iso(start)} {iso(end)}" for start, end in plan.blocks]


def drawn(
    plan: "Plan", series: "Series", lines: dict[str, str], tested: "Skill | None"
) -> "RenderableType":
    """Blocks, hours, what is saved and what that is worth."""
    from rich.console import Group

    rows = [
        (f"{start:%a %d %b %H:%M}", f"{end:%a %d %b %H:%M}", f"{start.astimezone():%d %b %H:%M}")
        for start, end in plan.blocks[:SHOWN]
    ]
    more = len(plan.blocks) - len(rows)
    parts = [
        table(("from (UTC)", "to (UTC)", "from (here)"), rows),
        *([f"and {more:,} more: --out plan.json holds them all"] if more else []),
        *hours(plan, series),
        *verdict(plan, tested),
        str(series.label),
    ]
    if plan.label.signal == "average":
        parts.append("average intensity: an attributional change, not emissions avoided")
    return Group(*parts, "", *pasted(plan, lines))


def pasted(plan: "Plan", lines: dict[str, str]) -> "Iterator[RenderableType]":
    """The lines as they are, however long, each under its name."""
    from rich.text import Text

    if not lines and plan.blocks[-1][1] <= datetime.now(UTC):
        yield "the plan is over: there is nothing to start"
    elif not lines:
        yield "it has pauses: with --out plan.json come the lines that start and follow it"
    for name, line in lines.items():
        yield STARTED[name]
        yield Text(line, no_wrap=True, overflow="ignore")


def hours(plan: "Plan", series: "Series") -> list[str]:
    """The intensity as a line of blocks, and below it where the run goes."""
    values = series.g_per_kwh
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / max(high - low, 1e-9) * (len(LEVELS) - 1)
    top = "".join(LEVELS[round(level)] for level in scaled.tolist())
    half = series.step / 2
    runs = going(plan, [series.time(i) + half for i in range(len(values))])
    below = "".join("━" if run else " " for run in runs)
    lines = [f"{low:.0f} to {high:.0f} g/kWh from {series.start:%d %b %H:%M} UTC"]
    for first in range(0, len(values), WIDTH):
        lines += [top[first : first + WIDTH], below[first : first + WIDTH]]
    return lines


def going(plan: "Plan", moments: list[datetime]) -> Iterator[bool]:
    """Whether the run goes at each of the moments, which ascend as the blocks do."""
    blocks = deque(plan.blocks)
    for moment in moments:
        while blocks and blocks[0][1] <= moment:
            blocks.popleft()
        yield bool(blocks) and blocks[0][0] < moment


def verdict(plan: "Plan", tested: "Skill | None") -> list[str]:
    """What is saved, how sure that is, and whether it is worth the wait."""
    extra, pauses = plan.running_time - plan.duration, len(plan.blocks) - 1
    cost = "1 pause costs" if pauses == 1 else f"{pauses} pauses cost"
    net = f", net of what {cost}: {clock(extra.total_seconds())} of running" if extra else ""
    lines = [
        f"{plan.g_per_kwh:.0f} g/kWh instead of {plan.at_once:.0f} at once: "
        f"{plan.saving_percent:.1f} % less{net}"
    ]
    if plan.foresight:
        lines.append("with the future known: the most that can be had")
    elif tested is None:
        lines.append(f"as the source '{plan.source}' has it; no back-test says how good that is")
    else:
        lines += judged(plan, tested)
    if not plan.worth_it:
        lines.append("not worth waiting: below 3 %")
    return lines


def judged(plan: "Plan", tested: "Skill") -> list[str]:
    job = "the zone, 8 h within 24 h more" if plan.source == "typical" else "the file's last months"
    return [
        f"as the source '{plan.source}' has it; to be expected are "
        f"{plan.expected_saving_percent:.1f} %",
        f"back-test of {job}: such plans kept {100 * tested.kept:.0f} % of what they promised, and "
        f"had {100 * tested.share:.0f} % of what a known future gives",
    ]
