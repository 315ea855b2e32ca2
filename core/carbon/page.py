"""A report to read: plots, one HTML file without outside links, and one Markdown file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from ..files import atomic_write, make_folder, write_json
from ..text.shown import in_html, in_markdown
from .emissions import Emissions
from .report import label_words, latex, paragraph, power_words

HTML, MARKDOWN, NUMBERS = "report.html", "report.md", "report.json"
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#999999"  # Okabe and Ito's, for any colour vision
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } img { max-width: 100% }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto }
"""


def write(folder: Path, table: dict[str, Any], runs: Sequence[Emissions]) -> list[Path]:
    """report.html, report.md with its pictures beside it, and report.json. runs: those that the
    table is about."""
    make_folder(folder)
    pictures = [picture(*pair) for pair in zip(runs, table["runs"], strict=True)]
    for number, data in enumerate(pictures, 1):
        with atomic_write(folder / name_of(number)) as file:
            file.write(data)
    with atomic_write(folder / HTML, "w") as file:
        file.write(html(table, pictures))
    with atomic_write(folder / MARKDOWN, "w") as file:
        file.write(markdown(table))
    write_json(folder / NUMBERS, table)
    return [folder / name for name in (HTML, MARKDOWN, NUMBERS)]


def names(runs: int) -> list[str]:
    """All that `write` makes for so many runs."""
    return [HTML, MARKDOWN, NUMBERS, *map(name_of, range(1, runs + 1))]


def name_of(number: int) -> str:
    return f"run-{number}.png"


def facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    """The run's figures, a row each."""
    rows = [
        ("what", run["what"]),
        ("submitted", run["submitted"]),
        ("running", f"{run['running_seconds']:.0f} s"),
        ("paused", f"{run['paused_seconds']:.0f} s"),
        ("energy", f"{run['energy_kwh']:.4g} kWh, PUE {run['pue']:g}"),
        ("power", power_words(run)),
    ]
    if run["emissions_kg"] is None:
        return [*rows, ("emissions", "the region is not known")]
    return [
        *rows,
        ("region", f"{run['region_name']} ({run['region']})"),
        ("intensity", f"{run['intensity_g_per_kwh'] or 0:.1f} g CO2e/kWh"),
        ("signal", label_words(run)),
        ("emissions", f"{run['emissions_kg']:.4g} kg CO2e"),
        ("had it started at once", f"{run['at_once_emissions_kg']:.4g} kg CO2e"),
        ("saved by waiting", f"{run['saving_percent'] or 0:.1f} %"),
    ]


def total_rows(table: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), "-" if value is None else f"{value:.4g}")
        for name, value in table["totals"].items()
    ]


def places(run: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for row in run["comparison"]:
        spread = f"{row['emissions_kg_low']:.3g} to {row['emissions_kg_high']:.3g}"
        yield (
            f"{row['name']} ({row['region']})",
            f"{row['emissions_kg']:.3g}",
            spread,
            row["label"]["year"],
        )


PLACES = ("the same energy in", "kg CO2e", "range", "year")


def markdown(table: dict[str, Any]) -> str:
    parts = ["# Carbon report", "", f"Counted: {table['counted']}.", ""]
    parts += [*grid(("all runs", ""), total_rows(table)), ""]
    for number, run in enumerate(table["runs"], 1):
        name, told = in_markdown(run["name"]), in_markdown(paragraph(run, table["made_with"]))
        parts += [f"## {name}", "", *grid(("", ""), facts(run)), ""]
        parts += [f"![power, intensity and CO2e of {name}]({name_of(number)})", ""]
        parts += [*grid(PLACES, list(places(run))), ""]
        parts += ["For a model card:", "", f"> {told}", ""]
    return "\n".join([*parts, "For a paper:", "", "```latex", latex(table["runs"]), "```", ""])


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[in_markdown(cell) for cell in row] for row in rows]
    table = [list(columns), [":--"] * len(columns), *cells]
    return [f"| {' | '.join(row)} |" for row in table]


def html(table: dict[str, Any], pictures: Sequence[bytes]) -> str:
    parts = [f"<h1>Carbon report</h1><p>Counted: {in_html(table['counted'])}.</p>"]
    parts.append(html_grid(("all runs", ""), total_rows(table)))
    for run, data in zip(table["runs"], pictures, strict=True):
        image, told = b64encode(data).decode(), paragraph(run, table["made_with"])
        parts += [
            f"<h2>{in_html(run['name'])}</h2>",
            html_grid(("", ""), facts(run)),
            f'<img alt="power, intensity and CO2e" src="data:image/png;base64,{image}">',
            html_grid(PLACES, list(places(run))),
            f"<h3>For a model card</h3><p>{in_html(told)}</p>",
        ]
    parts.append(f"<h3>For a paper</h3><pre>{in_html(latex(table['runs']))}</pre>")
    head = f'<meta charset="utf-8"><title>Carbon report</title><style>{_STYLE}</style>'
    page = f'<html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
    return f"<!doctype html>\n{page}\n"


def html_grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{in_html(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{in_html(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def picture(emissions: Emissions, run: dict[str, Any]) -> bytes:
    """A PNG: power, the grid's intensity with the run's blocks, cumulative kg, and other places."""
    placed = emissions.intensity is not None
    drawing, axes = panels(4 if placed else 2, height=2.6)
    draw_power(next(axes), emissions)
    if placed:
        draw_intensity(next(axes), emissions)
        draw_mass(next(axes), emissions)
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
    file = BytesIO()
    drawing.savefig(file, format=kind, dpi=120)
    return file.getvalue()


def draw_power(axes: Any, run: Emissions) -> None:
    bottoms = [0.0] * len(run.intervals)
    starts = [i.start for i in run.intervals]
    widths = [(i.end - i.start) for i in run.intervals]
    for name, colour in (("cpu", BLUE), ("gpu", ORANGE), ("ram", GREY)):
        watts = [getattr(i, f"{name}_kwh") * 3.6e6 / max(i.seconds, 1e-9) for i in run.intervals]
        if not any(watts):
            continue
        axes.bar(starts, watts, widths, bottoms, align="edge", color=colour, label=name)
        bottoms = [a + b for a, b in zip(bottoms, watts, strict=True)]
    axes.set(ylabel="W, of the machine", xlim=(run.submitted, run.end))
    if any(bottoms):
        axes.legend(loc="lower right", ncols=3)


def draw_intensity(axes: Any, run: Emissions) -> None:
    series = run.intensity
    assert series
    times = [series.time(i) for i in range(len(series.g_per_kwh) + 1)]
    axes.stairs(series.g_per_kwh, times, color=GREY)
    for interval in run.intervals:
        if interval.running:
            axes.axvspan(interval.start, interval.end, color=BLUE, alpha=0.3, linewidth=0)
    axes.set(ylabel="g CO2e/kWh; shaded: runs", ylim=(0, None), xlim=(run.submitted, run.end))


def draw_mass(axes: Any, run: Emissions) -> None:
    """As it was, and as it had been at once."""
    axes.plot(*mass(run, paused=True), color=BLUE, label="as it ran")
    axes.plot(*mass(run, paused=False), color=ORANGE, linestyle="--", label="had it begun at once")
    axes.set(ylabel="kg CO2e, cumulative", ylim=(0, None), xlim=(run.submitted, run.end))
    axes.legend(loc="lower right")


def mass(run: Emissions, paused: bool) -> tuple[list[Any], list[float]]:
    """Times and the kg emitted until then."""
    assert run.intensity
    moment, total = run.submitted, 0.0
    times, kg = [moment], [0.0]
    for interval in run.intervals:
        if not (paused or interval.running):
            continue
        start = interval.start if paused else moment
        moment = start + (interval.end - interval.start)
        total += interval.kwh * run.intensity.mean(start, moment) * run.pue / 1000
        times += [start, moment]
        kg += [kg[-1], total]
    return times, kg


def draw_places(axes: Any, rows: Sequence[dict[str, Any]], own: str | None) -> None:
    """A bar a region with its range; the run's own in another colour."""
    names, values = [row["region"] for row in rows], [row["emissions_kg"] for row in rows]
    spans = [
        [row["emissions_kg"] - row["emissions_kg_low"] for row in rows],
        [row["emissions_kg_high"] - row["emissions_kg"] for row in rows],
    ]
    colours = [ORANGE if name == own else BLUE for name in names]
    axes.barh(names, values, xerr=spans, color=colours, ecolor=GREY)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="kg CO2e of the same energy in a mean hour of the year")
