"""The month x hour table that comes with the package; profiles.md is its card."""

import csv
from functools import cache
from importlib.resources import files

import numpy as np

from .profiles import HOURS, Profile
from .regions import Region
from .values import Label

LABEL = Label("average", "life-cycle", "2022", "Electricity Maps by month and hour", "typical")


@cache
def _rows() -> dict[str, list[list[float]]]:
    """By zone, a row for each month: the deviation, then the means of the hours."""
    text = files("dln.core.carbon").joinpath("profiles.csv").read_text(encoding="utf-8")
    found: dict[str, list[list[float]]] = {}
    for zone, _, *values in list(csv.reader(text.splitlines()))[1:]:
        found.setdefault(zone, []).append([float(value) for value in values])
    return found


def typical(region: Region) -> Profile | None:
    """What is typical for the region's zone; None where no hours are known."""
    if region.zone is None:
        return None
    table = np.array(_rows()[region.zone])
    return Profile(region.zone, table[:, 1:], table[:, :1].repeat(HOURS, axis=1), LABEL)
