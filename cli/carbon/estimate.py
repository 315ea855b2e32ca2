"""`dln carbon estimate`: what a run will cost in kWh and CO2e, before it is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError

from ..options import Json, Quiet, Verbose
from ..show import Result, table
from .region import RegionOption
from .regions import regions

if TYPE_CHECKING:
    from dln.core.carbon.regions import Region
    from dln.core.carbon.values import Intensity, Spread

NEAR = 3  # cleaner regions shown


def estimate(
    region: RegionOption = None,
    kwh: Annotated[float | None, typer.Option(help="Energy, where it is known.")] = None,
    gpu: Annotated[str | None, typer.Option(metavar="NAME", help="A device: H100, V100.")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    hours: Annotated[float | None, typer.Option(help="How long they run.")] = None,
    machine: Annotated[
        bool, typer.Option("--machine", help="With CPUs and memory: GPUs are 74 % of it.")
    ] = False,
    utilisation: Annotated[
        float | None, typer.Option(help="Share of the rated power; default 0.4 to 1.")
    ] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="What a metered run used: its folder, or emissions.json."),
    ] = None,
    times: Annotated[
        float, typer.Option(help="So many such runs: 10 for ten times its steps.")
    ] = 1.0,
    pue: Annotated[float, typer.Option(help="Facility over machine energy: 1.1 to 1.6.")] = 1.0,
    paper: Annotated[
        bool, typer.Option("--paper", help="The experiments of Dodge et al. 2022, recomputed.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Estimate a run's energy and CO2e, with a range, and where it would be less.

    Without an energy it is for 1 kWh. Every figure is low, expected, high.

    \b
    Examples:
      dln carbon estimate --region norway
      dln carbon estimate --region us-cal-ciso --gpu H100 --gpus 8 --hours 36 --pue 1.1
      dln carbon estimate --region aws:eu-north-1 --kwh 37.3 --json
      dln carbon estimate --region norway --from-run runs/cogvideo --times 10
      dln carbon estimate --paper
    """
    from dln.core.carbon.annual import annual
    from dln.core.carbon.regions import find

    if paper:
        return published()
    if region == "":
        return regions()
    if region is None:
        raise UsageError("there is no region by default.", "dln carbon estimate --region")
    if not pue >= 1:
        raise UsageError(f"PUE is at least 1, not {pue:g}.")
    place = find(region)
    if not times > 0:
        raise UsageError(f"--times is above 0, not {times:g}.")
    one = energy(kwh, gpu, gpus, hours, machine, utilisation, from_run)
    return costs(place, annual(place), one * (times * pue), pue)


def energy(
    kwh: float | None,
    gpu: str | None,
    gpus: int,
    hours: float | None,
    machine: bool,
    utilisation: float | None,
    from_run: Path | None,
) -> "Spread":
    """kWh before PUE, from what was given."""
    from dln.core.carbon.energy import UTILISATION, of_devices
    from dln.core.carbon.values import Spread

    if sum(given is not None for given in (kwh, gpu, from_run)) > 1:
        raise UsageError("--kwh, --gpu and --from-run each say how much energy: give one.")
    if (gpu is None) != (hours is None):
        raise UsageError("--gpu and --hours belong together.", "--gpu H100 --gpus 8 --hours 36")
    if gpu and hours is not None:
        share = UTILISATION if utilisation is None else Spread.exact(utilisation)
        return of_devices(gpu, gpus, hours, machine, share)
    if from_run:
        from dln.core.carbon.emissions import Emissions

        run = Emissions.load(from_run)
        return Spread.exact(run.kwh / run.pue)
    if kwh is not None and not kwh > 0:
        raise UsageError(f"--kwh is above 0, not {kwh:g}.")
    return Spread.exact(1.0 if kwh is None else kwh)


def costs(place: "Region", intensity: "Intensity", used: "Spread", pue: float) -> Result:
    """Energy times intensity, what that equals, and what is cleaner."""
    from dln.core.carbon.energy import equivalents

    emitted = (used * intensity.g_per_kwh) * 1e-3
    others, hours = cleaner(place, intensity), clean_hours(place)
    data: dict[str, Any] = {
        "region": place.code,
        "name": place.name,
        **used.to_json("energy_kwh"),
        **intensity.g_per_kwh.to_json("intensity_g_per_kwh"),
        **emitted.to_json("emissions_kg"),
        "pue": pue,
        "label": intensity.label.to_json(),
        "equivalents": equivalents(emitted.expected),
        "cleaner_regions": others,
        "cleaner_hours_utc": hours,
    }
    rows = [
        ("region", f"{place.name} ({place.code})"),
        ("energy", f"{words(used)} kWh, estimated, PUE {pue:g}"),
        ("intensity", f"{words(intensity.g_per_kwh)} g/kWh"),
        ("emissions", f"{words(emitted)} kg CO2e"),
        ("as much as", alike(data["equivalents"])),
        ("cleaner", ", ".join(f"{code} {g:.0f}" for code, g in others.items()) or None),
        ("cleaner hours", hours and f"{', '.join(map(str, hours))} o'clock UTC"),
        ("signal", str(intensity.label)),
        ("counted", "operation, location-based; not what making the machines emitted"),
    ]
    return Result(data, table(("", "low / expected / high"), rows), [f"{emitted.expected:.6g}"])


def words(spread: "Spread") -> str:
    if spread.low == spread.high:
        return f"{spread.expected:.4g}"
    return f"{spread.low:.3g} / {spread.expected:.3g} / {spread.high:.3g}"


def alike(counts: dict[str, float]) -> str:
    """The largest thing that is emitted at least once, else phone charges."""
    whole = [name for name, count in counts.items() if count >= 1] or ["phone_charges"]
    return f"{counts[whole[-1]]:.3g} {whole[-1].replace('_', ' ')}"


def cleaner(place: "Region", intensity: "Intensity") -> dict[str, float]:
    """The cleanest regions of the same kind, of a cloud its own; 0 is a gap in a statistic."""
    from dln.core.carbon.annual import annual
    from dln.core.carbon.regions import regions as every

    cloud = place.code.partition(":")[0] if place.kind == "cloud" else ""
    alike = [r for r in every() if r.kind == place.kind and r.code.startswith(cloud)]
    found = sorted((annual(region).g_per_kwh.expected, region.code) for region in alike)
    return {
        code: g
        for g, code in [pair for pair in found if pair[0]][:NEAR]
        if g < intensity.g_per_kwh.expected
    }


def clean_hours(place: "Region") -> list[int] | None:
    """The three hours of the day (UTC) with the lowest mean over the year."""
    from dln.core.carbon.embedded import months

    means = months(place)
    if means is None:
        return None
    by_hour = [sum(hour) for hour in zip(*means, strict=True)]
    return sorted(sorted(range(len(by_hour)), key=by_hour.__getitem__)[:3])


def published() -> Result:
    """The paper's energies at its best and worst region."""
    from rich.console import Group

    from dln.core.carbon.energy import PAPER, PAPER_G_PER_KWH, equivalents, later_start_percent

    rows = [
        {
            "experiment": name,
            "gpus": gpus,
            "hours": hours,
            "energy_kwh": kwh,
            "kwh_per_gpu_hour": kwh / gpus / hours,
            "emissions_kg_low": kwh * PAPER_G_PER_KWH[0] / 1000,
            "emissions_kg_high": kwh * PAPER_G_PER_KWH[1] / 1000,
            "home_years_high": equivalents(kwh * PAPER_G_PER_KWH[1] / 1000)["home_years"],
        }
        for name, (gpus, hours, kwh) in PAPER.items()
    ]
    columns = ("experiment", "GPUs", "hours", "kWh", "kWh per GPU-hour", "kg at 200 g/kWh",
               "kg at 755 g/kWh", "home-years")  # fmt: skip
    title = "Dodge et al. 2022: GPU energy, marginal intensity of 2020 (published)"
    later = later_start_percent()
    drawn = Group(
        table(columns, [list(row.values()) for row in rows], title),
        f"BERT finetune in the central US: {later:.1f} % more at midnight than at six (table 3)",
    )
    data = {"experiments": rows, "later_start_percent": later}
    return Result(data, drawn, [f"{row['emissions_kg_high']:.6g}" for row in rows])
