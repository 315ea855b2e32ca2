"""When a training may run: the carbon options of `dln train`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dln.core.errors import UsageError

if TYPE_CHECKING:
    from dln.core.training.pace import Pace


def pace_of(
    plan: Path | None,
    pause_above: float | None,
    region: str | None,
    source: str | None,
    deadline: str | None,
    leave: bool,
) -> "Pace | None":
    """The pace that the options ask for; None where they ask for none."""
    if plan and pause_above is not None:
        raise UsageError("--carbon-plan and --pause-above each decide when to run: give one.")
    if pause_above is None and (region or source or deadline):
        raise UsageError("--region, --source and --deadline belong to --pause-above.")
    if plan is None and pause_above is None:
        return None
    from dln.core.carbon.plan import Plan
    from dln.core.training.pace import Pace

    if plan:
        return Pace(Plan.load(plan), leave)
    assert pause_above is not None
    return Pace(threshold(pause_above, region, source, moment_of(deadline)), leave)


def threshold(limit: float, region: str | None, source: str | None, deadline: datetime | None):
    """Pauses above `limit` g/kWh of the region's grid, until the deadline."""
    from dln.core.carbon.regions import find
    from dln.core.carbon.sources import open_source
    from dln.core.training.pace import Threshold

    if region is None:
        raise UsageError("--pause-above needs a --region.", "dln carbon regions")
    opened = open_source(source or "typical", find(region))
    span = timedelta(minutes=5)
    return Threshold(limit, lambda now: opened.series(now, now + span).at(now), deadline)


def moment_of(text: str | None) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time.", "write it as 2024-06-01T18:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
