"""Where intensities in time come from: a statistic, typical hours, a file, or a service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...errors import UsageError, closest, short
from ..places.annual import annual
from ..places.embedded import typical
from ..places.profiles import RECENT, Profile, recent
from ..values import HOUR, Label, Series, floor, iso
from .dialects import Reading
from .hours import FileSeries
from .series import read_csv

if TYPE_CHECKING:
    from ..places.regions import Region
    from .live import Live

FILES = ("csv", "recent28")  # which hold the intensities, so that no region is needed
LIVE = ("gb", "electricity-maps", "watttime", "eia")
SPECS = ("annual", "typical", "csv:FILE", "recent28:FILE", *LIVE)


class IntensitySource(Protocol):
    """Gives the intensity over any span that it knows.

    foresight: whether its values are those that came to be, as an old file's are.
    """

    @property
    def name(self) -> str: ...

    @property
    def foresight(self) -> bool: ...

    def series(self, start: datetime, end: datetime) -> Series:
        """Covers [start, end). UsageError where it does not know all of it."""
        ...


@dataclass(frozen=True)
class Annual:
    """The same value in every hour."""

    value: float
    label: Label
    name: str = "annual"
    foresight: bool = False

    def series(self, start: datetime, end: datetime) -> Series:
        first = floor(start, HOUR)
        count = max(1, ceil((end - first) / HOUR))
        return Series(first, HOUR, np.full(count, self.value), self.label)


@dataclass(frozen=True)
class Typical:
    """The mean of the month and hour."""

    profile: Profile
    name: str = "typical"
    foresight: bool = False

    def series(self, start: datetime, end: datetime) -> Series:
        return self.profile.series(start, end)


@dataclass(frozen=True)
class FromFile:
    """What a file holds; foresight is False for a file of forecasts."""

    data: Series
    name: str = "csv"
    foresight: bool = True

    def series(self, start: datetime, end: datetime) -> Series:
        if start < self.data.start or end > self.data.end:
            raise UsageError(
                f"{iso(start)} to {iso(end)} is not within the data, which goes from "
                f"{iso(self.data.start)} to {iso(self.data.end)}",
                hint="times within it, or data that cover them",
            )
        return _sound(self.data, start, end)


@dataclass(frozen=True)
class Recent:
    """The mean day of the 28 days before the first hour asked for."""

    data: Series
    name: str = "recent28"
    foresight: bool = False

    def series(self, start: datetime, end: datetime) -> Series:
        _sound(self.data, start - RECENT, start)
        return recent(self.data, start, end)


def _sound(data: Series, start: datetime, end: datetime) -> Series:
    """The intervals that touch [start, end). UsageError for a hole among them."""
    return data.sound(start, end) if isinstance(data, FileSeries) else data.between(start, end)


@dataclass(frozen=True)
class LiveSource:
    """A live service: its history up to the moment of asking, its forecast from there on."""

    live: Live
    name: str
    foresight: bool = False

    def series(self, start: datetime, end: datetime) -> Series:
        return self.live.series(start, end)


def open_source(
    spec: str, region: Region | None, reading: Reading | None = None
) -> IntensitySource:
    """The source that `spec` names. reading: of a file. UsageError for an unknown one, or one that
    does not know the region's hours."""
    check_named(spec)
    kind, _, path = spec.partition(":")
    if kind in FILES:
        data = read_csv(path, reading)
        foresees = data.label.kind != "forecast"
        return FromFile(data, foresight=foresees) if kind == "csv" else Recent(data)
    if region is None:
        raise UsageError(f"--source {kind} needs a --region", "dln carbon regions TEXT")
    if kind == "annual":
        found = annual(region)
        return Annual(found.g_per_kwh.expected, found.label)
    return _typical(region) if kind == "typical" else _service(kind, region)


def check_named(spec: str) -> None:
    """UsageError where `spec` names no source."""
    kind, _, path = spec.partition(":")
    if (kind in FILES and path) or kind in ("annual", "typical", *LIVE):
        return
    file = kind not in FILES and (os.path.isfile(spec) or "." in spec)
    hint = f"--source csv:{short(spec)}" if file else f"one of {', '.join(SPECS)}"
    raise UsageError(f"no source {short(spec)!r}.{closest(short(kind), SPECS)}", hint)


def usual(region: Region) -> str:
    """The source without network or file that knows most of the region."""
    return "typical" if typical(region) else "annual"


def _typical(region: Region) -> Typical:
    profile = typical(region)
    if profile is None:
        raise UsageError(
            f"the hours of {region.name} are not known",
            f"a zone of it (dln carbon regions {region.code}), --source csv:FILE, or "
            f"{', '.join(LIVE)}",
        )
    return Typical(profile)


def _service(name: str, region: Region) -> LiveSource:
    """Only here is the network touched, once the series is asked for."""
    from .live import open_live

    return LiveSource(open_live(name, region), name)
