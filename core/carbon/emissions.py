"""What a run used and emitted, interval by interval: the contents of emissions.json.

Every total is computed from the intervals and the intensities that stand beside it: the sum of each
interval's energy times the intensity while it lasted (Dodge et al. 2022, section 3).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import write_json
from .regions import Region
from .sources import IntensitySource
from .values import Series

if TYPE_CHECKING:
    from .documents import RecordForm

SCHEMA = 1
NAME = "emissions.json"
KG = 1e-3  # kg in a gram


@dataclass(frozen=True)
class Interval:
    """Energy between two readings of the meter, in kWh, before PUE.

    running: False while the run was paused; what a paused machine draws is counted too.
    """

    start: datetime
    seconds: float
    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    running: bool = True

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
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"start": self.start.isoformat()}


@dataclass(frozen=True)
class Emissions:
    """One run: what ran, its intervals in order, and where it was, if that is known.

    submitted: when it could have begun; the counterfactual starts there. power: how each
    component's energy came to be. pue: facility over machine energy, multiplied once, here.
    source, intensity: None together; intensity is that of [submitted, end). What needs it is None
    without it. region: may be None beside them, where a file gave the intensities.
    """

    what: str
    submitted: datetime
    intervals: tuple[Interval, ...]
    power: dict[str, str] = field(default_factory=dict)
    pue: float = 1.0
    region: str | None = None
    source: str | None = None
    intensity: Series | None = None

    def placed(self, region: Region | None, source: IntensitySource) -> Emissions:
        """The same run with the intensities that `source` has for its time; its region stays where
        none is given. UsageError where the source does not know them."""
        series = source.series(self.submitted, max(self.end, self.submitted + timedelta(seconds=1)))
        code = region.code if region else self.region
        return replace(self, region=code, source=source.name, intensity=series)

    @property
    def end(self) -> datetime:
        return self.intervals[-1].end if self.intervals else self.submitted

    @property
    def kwh(self) -> float:
        """Energy of the facility: machine energy times PUE."""
        return self.pue * sum(interval.kwh for interval in self.intervals)

    @property
    def running_seconds(self) -> float:
        return sum(i.seconds for i in self.intervals if i.running)

    @property
    def paused_seconds(self) -> float:
        return sum(i.seconds for i in self.intervals if not i.running)

    @property
    def kg(self) -> float | None:
        """kg CO2e."""
        if self.intensity is None:
            return None
        mean = self.intensity.mean
        return self.pue * sum(i.kwh * mean(i.start, i.end) for i in self.intervals) * KG

    @property
    def g_per_kwh(self) -> float | None:
        """The mean intensity of the energy that was used."""
        return self.kg / KG / self.kwh if self.kg is not None and self.kwh else None

    @property
    def at_once_kg(self) -> float | None:
        """kg CO2e had the running intervals followed one another from `submitted` on."""
        if self.intensity is None:
            return None
        moment, total = self.submitted, 0.0
        for interval in self.intervals:
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
            "intensity_g_per_kwh": self.g_per_kwh,
            "at_once_emissions_kg": self.at_once_kg,
            "saving_percent": self.saving_percent,
            "running_seconds": self.running_seconds,
            "paused_seconds": self.paused_seconds,
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
        from .documents import RecordForm, read_document

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
            intervals=tuple(Interval(**vars(interval)) for interval in form.intervals),
            power=form.power,
            pue=form.pue,
            region=form.region,
            source=form.source,
            intensity=form.intensity.series() if form.intensity else None,
        )
