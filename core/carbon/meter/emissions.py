"""What a run used and emitted, interval by interval: the contents of emissions.json.

Every total is computed from the intervals and the intensities that stand beside it: the sum of each
interval's energy times the intensity while it lasted (Dodge et al. 2022, section 3).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...files import write_json
from ..grid.sources import IntensitySource
from ..places.regions import Region
from ..values import KG, Scope, Series

if TYPE_CHECKING:
    from ..documents import IntervalForm, RecordForm

SCHEMA = 1
NAME = "emissions.json"


@dataclass(frozen=True)
class Interval:
    """Energy between two readings of the meter, in kWh, before PUE.

    running: False while the run was paused; what a paused machine draws is counted too. measured:
    False where no meter told; then there is no energy here, and JSON has null.
    """

    start: datetime
    seconds: float
    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    running: bool = True
    measured: bool = True

    @property
    def kwh(self) -> float:
        return self.cpu_kwh + self.gpu_kwh + self.ram_kwh

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def joined(self, other: Interval) -> Interval:
        """This one and the next as one."""
        return Interval(
            self.start,
            (other.end - self.start).total_seconds(),
            self.cpu_kwh + other.cpu_kwh,
            self.gpu_kwh + other.gpu_kwh,
            self.ram_kwh + other.ram_kwh,
            self.running,
            self.measured,
        )

    def at_mean_of(self, others: Sequence[Interval]) -> Interval:
        """This time at the mean power of the others."""
        share = self.seconds / (sum(other.seconds for other in others) or 1.0)
        parts = ("cpu_kwh", "gpu_kwh", "ram_kwh")
        energy = {part: share * sum(getattr(other, part) for other in others) for part in parts}
        return replace(self, **energy)

    def to_json(self) -> dict[str, Any]:
        table = asdict(self) | {"start": self.start.isoformat()}
        if not table.pop("measured"):
            table |= dict.fromkeys(("cpu_kwh", "gpu_kwh", "ram_kwh"))
        return table


@dataclass(frozen=True)
class Emissions:
    """One run: what ran, its intervals in order, and where it was, if that is known.

    submitted: when it could have begun; the counterfactual starts there. power: how each
    component's energy came to be. pue: facility over machine energy, multiplied once, here.
    source, intensity: None together; intensity is that of [submitted, end). What needs it is None
    without it. region: may be None beside them, where a file gave the intensities.
    market_g_per_kwh: what the user states of a contract or own generation. scope: whether the meter
    read the whole machine or the run's own processes.

    Time that no meter read counts at the mean power of the time that one did; where that is less
    than half of all, energy and what follows from it are None.
    """

    what: str
    submitted: datetime
    intervals: tuple[Interval, ...]
    power: dict[str, str] = field(default_factory=dict)
    pue: float = 1.0
    region: str | None = None
    source: str | None = None
    intensity: Series | None = None
    market_g_per_kwh: float | None = None
    scope: Scope = "machine"

    def placed(self, region: Region | None, source: IntensitySource) -> Emissions:
        """The same run with the intensities that `source` has for its time; its region stays where
        none is given. UsageError where the source does not know them."""
        series = source.series(self.submitted, max(self.end, self.submitted + timedelta(seconds=1)))
        code = region.code if region else self.region
        return replace(self, region=code, source=source.name, intensity=series)

    @property
    def end(self) -> datetime:
        return self.intervals[-1].end if self.intervals else self.submitted

    @cached_property
    def counted(self) -> tuple[Interval, ...] | None:
        """The intervals with energy in all of them; None where too little was measured."""
        known, lost = self._parted(lambda i: True)
        if not known or _seconds(lost) > _seconds(known):
            return None
        like: dict[bool, list[Interval]] = {}
        for running in (True, False):  # a pause draws what pauses draw, if enough of that is known
            own, missed = self._parted(lambda i, wanted=running: i.running == wanted)
            like[running] = own if _seconds(own) >= _seconds(missed) else known
        return tuple(i if i.measured else i.at_mean_of(like[i.running]) for i in self.intervals)

    def _parted(self, wanted: Callable[[Interval], bool]) -> tuple[list[Interval], list[Interval]]:
        """Those of the wanted ones that were measured, and the others."""
        chosen = [i for i in self.intervals if wanted(i)]
        return [i for i in chosen if i.measured], [i for i in chosen if not i.measured]

    @property
    def kwh(self) -> float | None:
        """Energy of the facility: machine energy times PUE."""
        if self.counted is None:
            return None
        return self.pue * sum(interval.kwh for interval in self.counted)

    @property
    def not_measured_seconds(self) -> float:
        return _seconds(i for i in self.intervals if not i.measured)

    @property
    def running_seconds(self) -> float:
        return _seconds(i for i in self.intervals if i.running)

    @property
    def paused_seconds(self) -> float:
        return _seconds(i for i in self.intervals if not i.running)

    @property
    def reserved_seconds(self) -> float:
        """Pauses too: a paused run keeps its machines."""
        return self.running_seconds + self.paused_seconds

    @property
    def kg(self) -> float | None:
        """kg CO2e."""
        if self.intensity is None or self.counted is None:
            return None
        mean = self.intensity.mean
        return self.pue * sum(i.kwh * mean(i.start, i.end) for i in self.counted) * KG

    @property
    def market_kg(self) -> float | None:
        """kg CO2e by what the user states of the electricity (market-based, GHG Protocol)."""
        if self.market_g_per_kwh is None or self.kwh is None:
            return None
        return self.kwh * self.market_g_per_kwh * KG

    @property
    def g_per_kwh(self) -> float | None:
        """The mean intensity of the energy that was used."""
        return self.kg / KG / self.kwh if self.kg is not None and self.kwh else None

    @property
    def at_once_kg(self) -> float | None:
        """kg CO2e had the running intervals followed one another from `submitted` on."""
        if self.intensity is None or self.counted is None:
            return None
        moment, total = self.submitted, 0.0
        for interval in self.counted:
            if interval.running:
                end = moment + timedelta(seconds=interval.seconds)
                total += interval.kwh * self.intensity.mean(moment, end)
                moment = end
        return self.pue * total * KG

    @property
    def saving_percent(self) -> float | None:
        """By how much less it emitted than had it started at once and never paused."""
        if self.kg is None or not self.at_once_kg:
            return None
        return 100 * (1 - self.kg / self.at_once_kg)

    def totals(self) -> dict[str, float | None]:
        """What is computed from the rest, by the keys that scripts rely on."""
        return {
            "energy_kwh": self.kwh,
            "emissions_kg": self.kg,
            "market_kg": self.market_kg,
            "intensity_g_per_kwh": self.g_per_kwh,
            "at_once_emissions_kg": self.at_once_kg,
            "saving_percent": self.saving_percent,
            "running_seconds": self.running_seconds,
            "paused_seconds": self.paused_seconds,
            "not_measured_seconds": self.not_measured_seconds,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "what": self.what,
            "region": self.region,
            "source": self.source,
            "submitted": self.submitted.isoformat(),
            "pue": self.pue,
            "power": self.power,
            "scope": self.scope,
            "market_g_per_kwh": self.market_g_per_kwh,
            **self.totals(),
            "intensity": self.intensity and self.intensity.to_json(),
            "intervals": [interval.to_json() for interval in self.intervals],
        }

    def save(self, path: Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Emissions:
        """From emissions.json, or from the folder that holds it. UsageError where there is none,
        or the file is not what a run wrote."""
        from ..documents import RecordForm, read_document

        file = path / NAME if os.path.isdir(path) else path
        if not os.path.exists(file):
            hint = "dln train writes one into its run, dln carbon audit -- COMMAND another"
            raise UsageError(f"there is no {file}", hint)
        try:
            return cls.from_form(read_document(RecordForm, file))
        except UsageError as error:
            raise UsageError(f"{file} is not a record that dln wrote: {error.message}") from error

    @classmethod
    def from_form(cls, form: RecordForm) -> Emissions:
        """The record that the door let in; its totals are computed again. UsageError where it
        tells of more than a hundred years."""
        form.check_span()
        return cls(
            what=form.what,
            submitted=form.submitted,
            intervals=tuple(map(_interval, form.intervals)),
            power=form.power,
            pue=form.pue,
            region=form.region,
            source=form.source,
            intensity=form.intensity.series() if form.intensity else None,
            market_g_per_kwh=form.market_g_per_kwh,
            scope=form.scope,
        )


def _seconds(intervals: Iterable[Interval]) -> float:
    return sum(interval.seconds for interval in intervals)


def _interval(form: IntervalForm) -> Interval:
    """No machine draws nothing: zeros, as records once had them, are nobody's measurement."""
    parts = (form.cpu_kwh, form.gpu_kwh, form.ram_kwh)
    cpu, gpu, ram = (part or 0.0 for part in parts)
    measured = None not in parts and any(parts)
    return Interval(form.start, form.seconds, cpu, gpu, ram, form.running, measured)
