"""What an energy costs in CO2e: by the place's grid, by a contract, and with the machines made."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dln.core.carbon.values import KG

from ..show import Result, table
from .energy import Used

if TYPE_CHECKING:
    from dln.core.carbon.places.regions import Region
    from dln.core.carbon.values import Intensity, Spread

RATE = (("g/kWh", 1.0, 0.0),)


@dataclass(frozen=True)
class Costs:
    """place, grid: None without a region. market: g/kWh as stated, or None. energy: kWh, PUE in
    it."""

    place: "Region | None"
    grid: "Intensity | None"
    market: float | None
    energy: "Spread"
    pue: float
    used: Used

    @property
    def emitted(self) -> "Spread | None":
        """kg CO2e, location-based."""
        return (self.energy * self.grid.g_per_kwh) * KG if self.grid else None

    @property
    def stated(self) -> "Spread | None":
        """kg CO2e, market-based."""
        return None if self.market is None else self.energy * (self.market * KG)

    def made(self, spec: str, per: str | None, hours: "Spread", times: float) -> dict[str, Any]:
        """What making the machines emitted, and the SCI where it is asked for."""
        from dln.core.carbon.costs.embodied import machines, work

        found = machines(spec)
        made: dict[str, Any] = {"embodied": found.to_json(hours)}
        if per and self.emitted:
            done = work(per, self.used.steps and self.used.steps * times)
            made["sci"] = done.intensity(self.emitted, found.share(hours))
        return made

    def result(self, made: dict[str, Any]) -> Result:
        """Energy times intensity, what that equals, and what is cleaner."""
        shown = self.emitted or self.stated
        assert shown
        data = self.data(shown) | made
        return Result(data, table(("", "low / expected / high"), self.rows(data, shown)),
                      [f"{shown.expected:.6g}"])  # fmt: skip

    def data(self, shown: "Spread") -> dict[str, Any]:
        from dln.core.carbon.costs.equivalents import equivalents
        from dln.core.carbon.places.cleaner import clean_hours, cleaner_regions
        from dln.core.carbon.places.kin import lines

        place, grid, stated = self.place, self.grid, self.stated
        return {
            "region": place and place.code,
            "name": place and place.name,
            **self.energy.to_json("energy_kwh"),
            **named("intensity_g_per_kwh", grid and grid.g_per_kwh),
            **named("emissions_kg", self.emitted),
            "market_g_per_kwh": self.market,
            **named("market_kg", stated),
            "energy_origin": self.used.how,
            **self.used.more,
            "pue": self.pue,
            "label": grid and grid.label.to_json(),
            "equivalents": equivalents(shown.expected),
            "cleaner_regions": cleaner_regions(place, grid) if place and grid else {},
            "cleaner_hours_utc": place and clean_hours(place),
            "other_figures": lines(place) if place else [],
        }

    def rows(self, data: dict[str, Any], shown: "Spread") -> list[tuple[str, object]]:
        from dln.core.carbon.costs.amounts import amounts, energies, masses, plain
        from dln.core.carbon.costs.equivalents import equal_to
        from dln.core.carbon.report.told import STATED, making

        hours, others = data["cleaner_hours_utc"], data["cleaner_regions"]
        cleaner = ", ".join(f"{code} {plain(g, 3)} g/kWh" for code, g in others.items())
        rows: list[tuple[str, object]] = []
        if self.emitted:
            rows.append(("emissions", f"{masses(self.emitted)} CO2e"))
        if self.stated and self.market is not None:
            rate = f"{plain(self.market, 3)} g/kWh, {STATED}"
            rows += [("market-based", f"{masses(self.stated)} CO2e"), ("", rate)]
        rows += [("which equals", equal_to(shown.expected)), *making(data)]
        rows += [("energy used", f"{energies(self.energy)}, PUE {self.pue:g}"),
                 ("", self.used.how)]  # fmt: skip
        if self.place and self.grid:
            rows += [
                ("region", f"{self.place.name} ({self.place.code})"),
                ("intensity", amounts(self.grid.g_per_kwh, RATE, 3)),
                ("signal", str(self.grid.label)),
                *(("other figures" if not number else "", line)
                  for number, line in enumerate(data["other_figures"])),
                ("cleaner", cleaner or "no region that is known to be"),
                ("cleaner hours", hours_told(hours)),
            ]  # fmt: skip
        return [*rows, ("counted", self.counted("embodied" in data))]

    def counted(self, made: bool) -> str:
        bases = [("location-based", self.emitted), ("market-based", self.stated)]
        known = " and ".join(name for name, kg in bases if kg)
        apart = "stands apart" if made else "is not counted"
        return f"operation, {known}; what making the machines emitted {apart}"


def hours_told(hours: list[int] | None) -> str:
    if hours is None:
        return "not known: only a year's mean is"
    return f"{', '.join(map(str, hours))} o'clock UTC"


def named(name: str, spread: "Spread | None") -> dict[str, float | None]:
    """The three keys that scripts rely on, null where there is nothing."""
    return dict(spread.to_json(name)) if spread else dict.fromkeys(
        (name, f"{name}_low", f"{name}_high"))  # fmt: skip
