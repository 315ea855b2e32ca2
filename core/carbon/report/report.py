"""What finished runs used and emitted, as one table of numbers that can be recomputed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ..costs.embodied import Machines, Work
from ..costs.equivalents import equivalents
from ..meter.emissions import Emissions
from ..places.cleaner import comparison
from ..places.regions import Region, find
from ..values import Spread
from .seal import sealed

SCHEMA = 2
TOTALS = ("energy_kwh", "emissions_kg", "market_kg", "at_once_emissions_kg", "running_seconds",
          "paused_seconds")  # fmt: skip
COUNTED = (
    "operation, location-based; market-based figures and what making the machines emitted stand "
    "apart, where they were asked for"
)


@dataclass(frozen=True)
class Subject:
    """A run that a report is about. machines: those it had reserved, where what making them
    emitted is asked for. work: what it did, for the Software Carbon Intensity."""

    name: str
    run: Emissions
    machines: Machines | None = None
    work: Work | None = None

    @property
    def embodied(self) -> Spread | None:
        """kg CO2e of making the machines, for the time that they were reserved."""
        return self.machines.share(self.hours) if self.machines else None

    @property
    def hours(self) -> Spread:
        """That the machines were reserved."""
        return Spread.exact(self.run.reserved_seconds / 3600)

    def _sci(self) -> dict[str, Any] | None:
        if self.work is None or self.embodied is None or self.run.kg is None:
            return None
        return self.work.intensity(self.run.kg, self.embodied)

    def to_json(self, elsewhere: Sequence[Region]) -> dict[str, Any]:
        run = self.run
        return {
            "name": self.name,
            **run.to_json(),
            "region_name": find(run.region).name if run.region else None,
            "equivalents": equivalents(run.kg) if run.kg is not None else None,
            "embodied": self.machines.to_json(self.hours) if self.machines else None,
            "sci": self._sci(),
            "comparison": comparison(run.kwh, with_own(run, elsewhere)),
        }


def report(subjects: Sequence[Subject], elsewhere: Sequence[Region]) -> dict[str, Any]:
    """All figures of the runs: each run's record with what it equals and what the same energy
    emits in a year's mean hour of the regions `elsewhere`; the totals; and a checksum of it all."""
    tables = [subject.to_json(elsewhere) for subject in subjects]
    return sealed({
        "schema": SCHEMA,
        "made_with": f"dln {version('dln')}, codecarbon {version('codecarbon')}",
        "counted": COUNTED,
        "runs": tables,
        "totals": totals(tables),
    })  # fmt: skip


def with_own(run: Emissions, elsewhere: Sequence[Region]) -> list[Region]:
    """The regions, the run's own among them."""
    own = [find(run.region)] if run.region else []
    return list({region.code: region for region in [*elsewhere, *own]}.values())


def totals(runs: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Sums over the runs; None where one of them does not have the figure."""
    columns = {name: [run[name] for run in runs] for name in TOTALS}
    making = [run["embodied"] or {} for run in runs]
    columns |= {f"embodied_kg{end}": [row.get(f"embodied_kg{end}") for row in making]
                for end in ("", "_low", "_high")}  # fmt: skip
    found: dict[str, float | None] = {
        name: None if None in values else math.fsum(values) for name, values in columns.items()
    }
    kg, before = found["emissions_kg"], found["at_once_emissions_kg"]
    saving = 100 * (1 - kg / before) if kg is not None and before else None
    return found | {"saving_percent": saving}
