"""Pictures of runs: power, the grid's intensity, CO2e so far, and the same energy elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from io import BytesIO
from typing import Any

from ..costs.amounts import MASS_FIGURES, MASSES, unit
from ..meter.emissions import Emissions
from ..values import KG
from .told import NOT_MEASURED, PARTS

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#999999"  # Okabe and Ito's, for any colour vision
TICKS = 9  # at most, of an axis of time


def picture(emissions: Emissions, run: dict[str, Any]) -> bytes:
    """A PNG: power, the grid's intensity with the run's blocks, CO2e so far, and other places."""
    drawn = [draw_power]
    if emissions.intensity is not None:
        drawn.append(draw_intensity)
    if emissions.kg is not None:
        drawn.append(draw_mass)
    drawing, axes = panels(len(drawn) + bool(run["comparison"]), height=2.6)
    for draw in drawn:
        draw(here := next(axes), emissions)
        clock(here, emissions)
    if run["comparison"]:
        draw_places(next(axes), run["comparison"], run["region"])
    return saved(drawing, "png")


def bars(comparison: Sequence[dict[str, Any]], kind: str) -> bytes:
    """A picture of places alone. kind: png, svg or pdf."""
    drawing, axes = panels(1, height=1 + 0.25 * len(comparison))
    draw_places(next(axes), comparison, None)
    return saved(drawing, kind)


def panels(count: int, height: float) -> tuple[Any, Iterator[Any]]:
    """A drawing and its axes, one below the other, of so many inches each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, count * height), layout="constrained")
    FigureCanvasAgg(drawing)
    return drawing, iter(drawing.subplots(count, 1, squeeze=False)[:, 0])


def saved(drawing: Any, kind: str) -> bytes:
    """The drawing's bytes. kind: png, svg or pdf."""
    file = BytesIO()
    drawing.savefig(file, format=kind, dpi=120)
    return file.getvalue()


def clock(axes: Any, run: Emissions) -> None:
    """The run's time along the axis, in UTC, with dates where they are needed."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    ticks = AutoDateLocator(tz=UTC, minticks=3, maxticks=TICKS)
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks, tz=UTC))
    axes.set(xlabel="time, UTC", xlim=(run.submitted, run.end))


def draw_power(axes: Any, run: Emissions) -> None:
    """Mean watts of each interval by component; hatched where no meter read."""
    bottoms = [0.0] * len(run.intervals)
    starts = [i.start for i in run.intervals]
    widths = [(i.end - i.start) for i in run.intervals]
    for name, colour in (("cpu", BLUE), ("gpu", ORANGE), ("ram", GREY)):
        watts = [getattr(i, f"{name}_kwh") * 3.6e6 / max(i.seconds, 1e-9) for i in run.intervals]
        if not any(watts):
            continue
        axes.bar(starts, watts, widths, bottoms, align="edge", color=colour, label=PARTS[name])
        bottoms = [a + b for a, b in zip(bottoms, watts, strict=True)]
    unread = [i for i in run.intervals if not i.measured]
    for number, interval in enumerate(unread):
        axes.axvspan(interval.start, interval.end, facecolor="none", edgecolor=GREY, hatch="//",
                     label="_again" if number else NOT_MEASURED)  # fmt: skip
    axes.set(ylabel=f"W, of {'the machine' if run.scope == 'machine' else 'its processes'}")
    if unread or any(bottoms):
        axes.legend(loc="lower right", ncols=4)


def draw_intensity(axes: Any, run: Emissions) -> None:
    """The grid's g/kWh, shaded while the run ran."""
    series = run.intensity
    assert series
    times = [series.time(i) for i in range(len(series.g_per_kwh) + 1)]
    axes.stairs(series.g_per_kwh, times, color=GREY)
    for interval in run.intervals:
        if interval.running:
            axes.axvspan(interval.start, interval.end, color=BLUE, alpha=0.3, linewidth=0)
    axes.set(ylabel="g CO2e/kWh; shaded: it ran", ylim=(0, None))


def draw_mass(axes: Any, run: Emissions) -> None:
    """As it was, and as it had been at once."""
    ways = {"as it ran": mass(run, paused=True), "had it started at once": mass(run, paused=False)}
    name, size = unit(max(kg[-1] for _, kg in ways.values()), MASSES, MASS_FIGURES)
    for (label, (times, kg)), colour, line in zip(
        ways.items(), (BLUE, ORANGE), ("-", "--"), strict=True
    ):
        axes.plot(times, [value / size for value in kg], line, color=colour, label=label)
    axes.set(ylabel=f"{name} CO2e so far", ylim=(0, None))
    axes.legend(loc="lower right")


def mass(run: Emissions, paused: bool) -> tuple[list[Any], list[float]]:
    """Times and the kg emitted until then."""
    assert run.intensity
    moment, total = run.submitted, 0.0
    times, kg = [moment], [0.0]
    for interval in run.counted or ():
        if not (paused or interval.running):
            continue
        start = interval.start if paused else moment
        moment = start + (interval.end - interval.start)
        total += interval.kwh * run.intensity.mean(start, moment) * run.pue * KG
        times += [start, moment]
        kg += [kg[-1], total]
    return times, kg


def draw_places(axes: Any, rows: Sequence[dict[str, Any]], own: str | None) -> None:
    """A bar a region with its range; the run's own in another colour."""
    names = [row["region"] for row in rows]
    kg = [row["emissions_kg"] for row in rows]
    name, size = unit(max(kg), MASSES, MASS_FIGURES)
    below = [(row["emissions_kg"] - row["emissions_kg_low"]) / size for row in rows]
    above = [(row["emissions_kg_high"] - row["emissions_kg"]) / size for row in rows]
    colours = [ORANGE if place == own else BLUE for place in names]
    values = [value / size for value in kg]
    axes.barh(names, values, xerr=[below, above], color=colours, ecolor=GREY)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel=f"{name} CO2e of the same energy in a mean hour of the year")
