"""The tables of typical hours that come with the package; profiles.md is their card."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ..values import Label

if TYPE_CHECKING:
    from ..values import Mode
    from .profiles import Profile
    from .regions import Region

LABEL = Label("average", "life-cycle", "2022", "Electricity Maps by month and hour", "typical")


@cache
def _rows() -> dict[str, list[list[str]]]:
    """By zone, a row for each month: the deviation, then the means of the hours."""
    text = files("dln.core.carbon.places").joinpath("profiles.csv").read_text(encoding="utf-8")
    found: dict[str, list[list[str]]] = {}
    for zone, _, *values in list(csv.reader(text.splitlines()))[1:]:
        found.setdefault(zone, []).append(values)
    return found


def months(region: Region) -> list[list[float]] | None:
    """Mean g/kWh of the region's zone by month and UTC hour, 12 rows of 24; None where no hours
    are known."""
    if region.zone is None:
        return None
    return [[float(value) for value in values] for _, *values in _rows()[region.zone]]


def month_deviations(region: Region) -> list[float] | None:
    """The standard deviation over the hours of each month; None where no hours are known."""
    return None if region.zone is None else [float(row[0]) for row in _rows()[region.zone]]


def typical(region: Region) -> Profile | None:
    """What is typical for the region's zone; None where no hours are known."""
    import numpy as np

    from .profiles import HOURS, Profile

    means, deviations = months(region), month_deviations(region)
    if region.zone is None or means is None or deviations is None:
        return None
    std = np.array([[deviation] * HOURS for deviation in deviations])
    return Profile(region.zone, np.array(means), std, LABEL)


@dataclass(frozen=True)
class Skill:
    """Mean savings in percent in a back-test on hours that the planner had not seen: 8-hour jobs
    with 24 hours of slack. promised: what the plans said; oracle: with the future known."""

    promised: float
    saving: float
    oracle: float

    @property
    def share(self) -> float:
        """Of what could be had."""
        return self.saving / self.oracle if self.oracle else 0.0

    @property
    def kept(self) -> float:
        """The share of their promise that the plans kept: at most all, at least nothing."""
        return min(1.0, max(0.0, self.saving / self.promised)) if self.promised else 0.0


@cache
def _skills() -> dict[str, dict[str, str]]:
    text = files("dln.core.carbon.places").joinpath("skill.csv").read_text(encoding="utf-8")
    return {row["zone"]: row for row in csv.DictReader(text.splitlines())}


def skill(region: Region, mode: Mode) -> Skill | None:
    """Of the typical hours in the region's zone; None where no back-test is known."""
    row = _skills().get(region.zone or "")
    columns = (f"{mode}_promised", mode, f"{mode}_oracle")
    return Skill(*(float(row[name]) for name in columns)) if row else None
