"""`dln carbon estimate`: what a run will cost in kWh and CO2e, before it is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError

from ..options import Json, Quiet, Verbose
from ..show import Result, table
from .energy import Asked, Used
from .region import RegionOption, located
from .regions import regions
from .words import alike, figure, words

if TYPE_CHECKING:
    from dln.core.carbon.regions import Region
    from dln.core.carbon.values import Intensity


MOST_TIMES = 1e9


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
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A training of it, by its operations.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Size of the model.")] = None,
    steps: Annotated[
        list[str] | None, typer.Option(metavar="N|STAGE=N", help="Of each stage, or of one.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples a step.")] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="What a metered run used: its folder, or emissions.json."),
    ] = None,
    times: Annotated[
        float, typer.Option(help="So many such runs: 10 for ten times its steps.")
    ] = 1.0,
    pue: Annotated[float, typer.Option(help="Facility over machine energy: 1.1 to 1.6.")] = 1.0,
    month: Annotated[
        int | None, typer.Option(min=1, max=12, help="Of that month, not of the year.")
    ] = None,
    hour: Annotated[
        int | None, typer.Option(min=0, max=23, help="Of that hour of the day, UTC.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The experiments of Dodge et al. 2022, recomputed.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Result:
    """Estimate a run's energy and CO2e, with a range, and where and when it would be less.

    Without an energy it is for 1 kWh. Every figure is low, expected, high. --model loads torch, to
    count the operations of a training; where no --gpu is named the range is that of H100 to V100.

    \b
    Examples:
      dln carbon estimate --region norway
      dln carbon estimate --region us-cal-ciso --gpu H100 --gpus 8 --hours 36 --pue 1.1
      dln carbon estimate --region aws:eu-north-1 --kwh 37.3 --json
      dln carbon estimate --region de --model cogvideo --preset paper --steps 1000 --gpu A100
      dln carbon estimate --region norway --from-run runs/cogvideo --times 10
      dln carbon estimate --region us-cal-ciso --month 6 --hour 18
      dln carbon estimate --paper
    """
    from dln.core.carbon.annual import annual, usual
    from dln.core.carbon.values import MOST_PUE, within

    if paper:
        from .paper import published

        return published()
    if region == "":
        return regions()
    if region is None:
        raise UsageError("there is no region by default.", "dln carbon estimate --region")
    within(pue, "PUE", MOST_PUE, least=1)
    within(times, "--times", MOST_TIMES)
    place = located(region)
    yearly = month is None and hour is None
    intensity = annual(place) if yearly else usual(place, month, hour)
    asked = Asked(kwh, gpu, gpus, hours, machine, utilisation, model, preset, steps or (), batch,
                  from_run)  # fmt: skip
    return costs(place, intensity, asked.used(), times, pue)


def costs(place: "Region", intensity: "Intensity", used: Used, times: float, pue: float) -> Result:
    """Energy times intensity, what that equals, and what is cleaner."""
    from dln.core.carbon.cleaner import clean_hours, cleaner_regions
    from dln.core.carbon.energy import equivalents
    from dln.core.carbon.kin import lines

    energy = used.kwh * (times * pue)
    emitted = (energy * intensity.g_per_kwh) * 1e-3
    others, hours = cleaner_regions(place, intensity), clean_hours(place)
    elsewhere = lines(place)
    data: dict[str, Any] = {
        "region": place.code,
        "name": place.name,
        **energy.to_json("energy_kwh"),
        **intensity.g_per_kwh.to_json("intensity_g_per_kwh"),
        **emitted.to_json("emissions_kg"),
        "energy_origin": used.how,
        **used.more,
        "pue": pue,
        "label": intensity.label.to_json(),
        "equivalents": equivalents(emitted.expected),
        "cleaner_regions": others,
        "cleaner_hours_utc": hours,
        "other_figures": elsewhere,
    }
    rows = [
        ("region", f"{place.name} ({place.code})"),
        ("energy", f"{words(energy)} kWh, PUE {pue:g}"),
        ("", used.how),
        ("intensity", f"{words(intensity.g_per_kwh)} g/kWh"),
        ("emissions", f"{words(emitted)} kg CO2e"),
        ("as much as", alike(data["equivalents"])),
        ("cleaner", ", ".join(f"{code} {figure(g)}" for code, g in others.items()) or None),
        ("cleaner hours", hours and f"{', '.join(map(str, hours))} o'clock UTC"),
        ("signal", str(intensity.label)),
        *(("other figures" if not number else "", line) for number, line in enumerate(elsewhere)),
        ("counted", "operation, location-based; not what making the machines emitted"),
    ]
    return Result(data, table(("", "low / expected / high"), rows), [f"{emitted.expected:.6g}"])
