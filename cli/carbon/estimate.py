"""`dln carbon estimate`: what a run will cost in kWh and CO2e, before it is run."""

from pathlib import Path
from typing import Annotated

import typer

from dln.core.errors import UsageError

from .. import completion
from ..options import ConfigFile, Json, Quiet, Verbose
from ..show import Result
from .account import Embodied, Market, Per, check_making
from .costs import Costs
from .energy import Asked
from .region import RegionOption, located
from .regions import regions

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
        str | None,
        typer.Option(
            autocompletion=completion.models,
            metavar="NAME",
            help="A training of it, by its operations.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(autocompletion=completion.presets, help="Size of the model.")
    ] = None,
    steps: Annotated[
        list[str] | None, typer.Option(metavar="N|STAGE=N", help="Of each stage, or of one.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples a step.")] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(
            autocompletion=completion.held,
            metavar="RUN",
            help="What a metered run used: its folder, or emissions.json.",
        ),
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
    intensity: Market = None,
    embodied: Embodied = None,
    per: Per = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The experiments of Dodge et al. 2022, recomputed.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Estimate a run's energy and CO2e, with a range, and where and when it would be less.

    Without an energy it is for 1 kWh. Every figure is low, expected, high. --model loads torch, to
    count the operations of a training; where no --gpu is named the range is that of H100 to V100.
    --intensity is market-based (GHG Protocol, Scope 2): with a --region it stands beside the grid's
    figure, without one alone; 0 says own generation, or certificates for all of it.

    \b
    Examples:
      dln carbon estimate --region norway
      dln carbon estimate --region us-cal-ciso --gpu H100 --gpus 8 --hours 36 --pue 1.1
      dln carbon estimate --region aws:eu-north-1 --kwh 37.3 --json
      dln carbon estimate --region de --model cogvideo --preset paper --steps 1000 --gpu A100
      dln carbon estimate --region norway --from-run runs/cogvideo --times 10
      dln carbon estimate --region us-cal-ciso --month 6 --hour 18
      dln carbon estimate --region norway --kwh 37.3 --intensity 0
      dln carbon estimate --region fr --gpu H100 --gpus 8 --hours 36 --embodied 8xH100
      dln carbon estimate --paper
    """
    from dln.core.carbon.places.annual import annual, usual
    from dln.core.carbon.values import MOST_PUE, stated_grams, within

    if paper:
        from .paper import published

        return published()
    if region == "":
        return regions()
    market = None if intensity is None else stated_grams(intensity)
    if region is None and (market is None or month or hour is not None):
        raise UsageError("there is no region by default.", "dln carbon estimate --region")
    within(pue, "PUE", MOST_PUE, least=1)
    within(times, "--times", MOST_TIMES)
    check_making(embodied, per)
    if per and region is None:
        raise UsageError("the SCI counts by the grid of the place.", "--region norway")
    place = located(region) if region else None
    yearly = month is None and hour is None
    grid = place and (annual(place) if yearly else usual(place, month, hour))
    asked = Asked(kwh, gpu, gpus, hours, machine, utilisation, model, preset, steps or (), batch,
                  from_run)  # fmt: skip
    used = asked.used()
    costs = Costs(place, grid, market, used.kwh * (times * pue), pue, used)
    if embodied and used.hours is None:
        raise UsageError("--embodied needs to know for how long.", "--gpu H100 --gpus 8 --hours 36")
    made = costs.made(embodied, per, used.hours * times, times) if embodied and used.hours else {}
    return costs.result(made)
