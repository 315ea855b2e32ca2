"""Where and when a run may go: the carbon options that dln train and dln carbon audit share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dln.core.errors import UsageError

from ..show import screen
from .grid import USUAL, Grid
from .region import located

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Place
    from dln.core.carbon.plan.threshold import Schedule
    from dln.core.carbon.values import Series


@dataclass(frozen=True)
class PaceOptions:
    """The options as given; plan_option is what the command calls its plan."""

    plan: Path | None = None
    pause_above: float | None = None
    region: str | None = None
    grid: Grid = USUAL
    deadline: str | None = None
    pue: float | None = None
    plan_option: str = "--carbon-plan"

    def resolve(self) -> "tuple[Schedule | None, Place | None]":
        """When the run may go and where it takes place; None where nothing was said."""
        if self.plan and self.pause_above is not None:
            raise UsageError(f"{self.plan_option} and --pause-above each decide: give one.")
        self.grid.refuse()
        if self.pause_above is None and self.deadline:
            raise UsageError("--deadline belongs to --pause-above.")
        if self.pause_above is not None and self.region is None and not self.grid.is_file:
            raise UsageError("--pause-above needs a --region.", "dln carbon regions")
        schedule, region = None, self.region
        if self.plan:
            from dln.core.carbon.plan.plan import Plan

            schedule = Plan.load(self.plan)
            region = self._agreed(schedule.region)
        if region is None and not self.grid.is_file:
            if self.grid.source or self.pue is not None:
                raise UsageError("--source and --pue belong to a --region.", "dln carbon regions")
            return schedule, None
        place = place_of(region, self.grid, self.pue)
        if self.pause_above is not None:
            schedule = self._limit(place)
        return schedule, place

    def _agreed(self, planned: str | None) -> str | None:
        from dln.core.carbon.places.regions import find

        if planned is None:
            return self.region
        if self.region and find(self.region).code != planned:
            raise UsageError(f"the plan is for {planned}, not for {self.region}.")
        return planned

    def _limit(self, place: "Place") -> "Schedule":
        from dln.core.carbon.plan.threshold import Threshold, check_reachable

        assert self.pause_above is not None
        deadline = moment_of(self.deadline)
        limit = Threshold(self.pause_above, now_at(place), deadline, screen.note)
        if deadline is None:
            check_reachable(self.pause_above, place.source, datetime.now(UTC))
        return limit


def place_of(region: str | None, grid: Grid, pue: float | None) -> "Place":
    """The region with the source asked for, or with the one that knows it best offline; without a
    region what the file says."""
    from dln.core.carbon.meter.recorder import Place

    found = located(region) if region else None
    place = Place(found, grid.open(found), 1.0 if pue is None else pue)
    place.check(datetime.now(UTC))
    return place


def now_at(place: "Place") -> Callable[[datetime], float]:
    """g/kWh there at a moment. The source is asked once for each of its steps."""
    known: list[Series] = []

    def at(moment: datetime) -> float:
        if not known or known[0].index(moment):
            known[:] = [place.source.series(moment, moment + timedelta(seconds=1))]
        return known[0].at(moment)

    return at


def moment_of(text: str | None) -> datetime | None:
    """An ISO 8601 time in UTC, which it is where it names no zone. UsageError for none, or one of
    another century."""
    from dln.core.carbon.values import parse_time

    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise UsageError(f"{error}.", "write it as 2024-06-01T18:00Z") from error
