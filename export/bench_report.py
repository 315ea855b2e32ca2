"""A benchmark to read: rows for tables, a Markdown page, and a bar chart of where the time goes."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from dln.core.files import atomic_write, make_folder
from dln.core.text.shown import in_markdown

from .bench import Bench
from .bench_times import EngineTimes

PAGE, CHART = "report.md", "bench.png"
ENGINE_COLUMNS = (
    "engine", "s a clip", "p20", "p95", "frames/s", "x torch", "peak MiB", "J a clip", "limit",
)  # fmt: skip
GRAPH_COLUMNS = (
    "graph", "calls", "ms a call", "p20", "p95", "of clip", "products", "streaming", "limit", "by",
)  # fmt: skip
HOST = "sampling loop"
# Okabe and Ito's colours, told apart with any kind of colour vision; grey is the loop's.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#999999"


def engine_row(engine: EngineTimes) -> tuple[str, ...]:
    """One engine as cells under ENGINE_COLUMNS."""
    return (
        engine.name,
        figure(engine.clip_median_s),
        figure(engine.clip_p20_s),
        figure(engine.clip_p95_s),
        figure(engine.frames_per_s),
        "-" if engine.ratio_to_torch is None else f"{engine.ratio_to_torch:.2f}",
        figure(engine.peak_memory_mib),
        "not measured" if engine.energy_per_clip_j is None else figure(engine.energy_per_clip_j),
        percent(engine.limit_share),
    )


def graph_rows(engine: EngineTimes) -> Iterator[tuple[str, ...]]:
    """The engine's graphs as cells under GRAPH_COLUMNS, and the sampling loop's own share."""
    for graph in engine.graphs:
        yield (
            graph.name,
            str(graph.calls_per_clip),
            figure(graph.call_median_ms),
            figure(graph.call_p20_ms),
            figure(graph.call_p95_ms),
            percent(graph.clip_share),
            percent(graph.matrix_share),
            percent(graph.streaming_share),
            percent(graph.limit_share),
            graph.limit,
        )
    yield (HOST, *["-"] * 4, percent(engine.host_share), *["-"] * 4)


def remarks(bench: Bench) -> list[str]:
    """What the numbers are and what they hold for, a sentence each."""
    about, asked = bench.machine, bench.request
    load = "unknown" if about["load_1min"] is None else f"{about['load_1min']:.1f}"
    return [
        f"Machine: {about['cpu']}, cores {about['cores']}, threads {about['threads']}, "
        f"torch {about['torch']}, load {load} when it began.",
        f"Model {asked.model}, prompt {asked.prompt!r}, seed {asked.seed}, {asked.precision}: "
        f"clips timed {asked.runs}, before them {asked.warmup} to warm up, "
        "each engine in its own process.",
        "Seconds and milliseconds are medians. x torch: eager torch's seconds over the engine's.",
        *(rate(engine) for engine in bench.engines),
        "Products, streaming: the share of each rate that a graph reaches. Limit: the least time "
        "for its calls at these rates, as a share of the time taken, and by which rate.",
        "Peak memory: of the whole process, libraries included.",
        *(f"Energy of {engine.name}: {engine.energy_source}." for engine in bench.engines),
        *(
            f"{engine.name} was measured as the base of the ratios."
            for engine in bench.engines
            if not engine.asked
        ),
        *(f"{engine.name}: {note}" for engine in bench.engines for note in engine.notes),
        *(f"{gone.engine} is not here: {gone.reason}" for gone in bench.missing),
        *bench.warnings,
    ]


def rate(engine: EngineTimes) -> str:
    """The rates that the shares of one engine are shares of."""
    streamed = [graph.streaming_gb_per_s for graph in engine.graphs]
    return (
        f"Rates beside {engine.name} on {engine.device}: {engine.matrix_gflop_per_s:.4g} GFLOP/s "
        f"in matrix products ({engine.matrix_size} x {engine.matrix_size}, "
        f"{engine.matrix_dtype}), {min(streamed):.3g} to {max(streamed):.3g} GB/s streamed."
    )


def figure(value: float | None) -> str:
    """Three significant figures, whole numbers from a hundred on, a dash for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def markdown(bench: Bench) -> str:
    """The whole page; the chart lies beside it."""
    lines = [f"# Benchmark of {in_markdown(bench.request.model)}", ""]
    lines += [*grid(ENGINE_COLUMNS, [engine_row(engine) for engine in bench.engines]), ""]
    lines += [f"![Seconds a clip by engine and graph]({CHART})", ""]
    for engine in bench.engines:
        lines += [
            f"## {in_markdown(engine.name)}",
            "",
            *grid(GRAPH_COLUMNS, list(graph_rows(engine))),
            "",
        ]
    return "\n".join([*lines, *(f"- {in_markdown(remark)}" for remark in remarks(bench)), ""])


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, numbers to the right."""
    rule = [":--", *["--:"] * (len(columns) - 1)]
    cells = [[in_markdown(cell) for cell in row] for row in (columns, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def chart(bench: Bench) -> bytes:
    """A PNG: a bar an engine, its median seconds a clip cut into graphs and the sampling loop."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(8, 1.6 + 0.6 * len(bench.engines)), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    draw_bars(axes, bench.engines)
    axes.set_xlabel("seconds a clip: median, with p20 to p95")
    axes.set_xlim(0, 1.05 * max(engine.clip_p95_s for engine in bench.engines))
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    drawing.legend(loc="outside upper center", ncols=4, frameon=False)
    file = BytesIO()
    drawing.savefig(file, format="png", dpi=150)
    return file.getvalue()


def draw_bars(axes, engines: Sequence[EngineTimes]) -> None:
    """Stacked bars, one part a graph in the same order and colour for every engine."""
    names = [engine.name for engine in engines]
    parts = list(dict.fromkeys(graph.name for engine in engines for graph in engine.graphs))
    ends = [0.0] * len(engines)
    for number, part in enumerate([*parts, HOST]):
        lengths = [part_seconds(engine, part) for engine in engines]
        colour = GREY if part == HOST else COLOURS[number % len(COLOURS)]
        axes.barh(names, lengths, left=ends, color=colour, label=part, height=0.6)
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    for place, engine in enumerate(engines):
        whisker(axes, place, engine)


def part_seconds(engine: EngineTimes, part: str) -> float:
    """Seconds a clip of one graph, or of the sampling loop."""
    if part == HOST:
        return max(engine.host_s, 0.0)
    return sum(graph.clip_s for graph in engine.graphs if graph.name == part)


def whisker(axes, place: int, engine: EngineTimes) -> None:
    """The spread of the clips, and the numbers in words beside it."""
    middle, low, high = engine.clip_median_s, engine.clip_p20_s, engine.clip_p95_s
    axes.errorbar(
        middle, place, xerr=[[middle - low], [high - middle]], color="black", capsize=4, lw=1
    )
    ratio = "" if engine.ratio_to_torch is None else f" ({engine.ratio_to_torch:.2f} x torch)"
    label = f"{figure(middle)} s{ratio}"
    axes.annotate(label, (high, place), (8, 0), textcoords="offset points", va="center")


def write_report(folder: Path, bench: Bench) -> list[Path]:
    """Write page and chart into the folder, each at once or not at all; return their paths."""
    make_folder(folder)
    page, picture = folder / PAGE, folder / CHART
    with atomic_write(picture) as file:
        file.write(chart(bench))
    with atomic_write(page, "w") as file:
        file.write(markdown(bench))
    return [page, picture]
