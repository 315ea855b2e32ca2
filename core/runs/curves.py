"""How trainings went: every number of their stats.jsonl against the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError, short
from ..files import atomic_write
from ..training.run import Run

ASIDE = ("stage", "step", "seconds", "samples_per_s", "lr")  # what is told beside what is learnt
LARGEST = 1e100  # of what is drawn
ACROSS = 3  # panels
MOST = 60
WIDE, HIGH = 4.0, 2.4  # of a panel, in inches
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito's

Points = list[tuple[int, float]]
Curves = dict[tuple[str, str, bool], Points]  # by stage, name, and whether it was measured


def curves(rows: Iterable[Mapping[str, Any]]) -> Curves:
    """rows: those of a run's stats.jsonl -> every number by its step, in the order of the stages;
    gradients' norms and what no drawing can hold are left out."""
    found: Curves = {}
    for row in rows:
        stage, step, metrics = row.get("stage"), row.get("step"), row.get("metrics")
        if not isinstance(stage, str) or not isinstance(step, int) or abs(step) > LARGEST:
            continue
        measured = isinstance(metrics, dict)
        for name, value in (metrics if measured else row).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in ASIDE or name.endswith("_norm") or not (number and abs(value) <= LARGEST):
                continue
            found.setdefault((stage, name, measured), []).append((step, float(value)))
    return dict(sorted(found.items(), key=lambda item: (_place(found, item[0][0]), item[0][2])))


def _place(found: Curves, stage: str) -> int:
    """Which of the stages it is."""
    return list(dict.fromkeys(name for name, _, _ in found)).index(stage)


def plot_curves(path: Path | str, runs: Sequence[Run]) -> dict[str, int]:
    """Write a PNG, at once or not at all, with a panel for each number of each stage and a line in
    it for each run. How many points each run has. UsageError where none has told anything yet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    told = {str(run.path): curves(run.rows()) for run in runs}
    panels = list(dict.fromkeys(key for found in told.values() for key in found))[:MOST]
    if not panels:
        raise UsageError(f"{', '.join(map(short, told))}: nothing has been learnt yet", "dln train")
    down = -(-len(panels) // ACROSS)
    drawing = Figure(figsize=(WIDE * ACROSS, HIGH * down + 0.4), layout="constrained")
    FigureCanvasAgg(drawing)
    places: Any = drawing.subplots(down, ACROSS, squeeze=False).ravel()
    for axes, key in zip(places, panels, strict=False):
        _panel(axes, key, {name: found.get(key, []) for name, found in told.items()})
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    if len(told) > 1:
        drawing.legend(*places[0].get_legend_handles_labels(), loc="outside upper center",
                       ncols=ACROSS, frameon=False)  # fmt: skip
    with atomic_write(path) as file:
        drawing.savefig(file, format="png", dpi=110)
    return {name: sum(map(len, found.values())) for name, found in told.items()}


def _panel(axes: Any, key: tuple[str, str, bool], lines: Mapping[str, Points]) -> None:
    """One number of one stage; where it was measured now and then, each point is seen."""
    stage, name, measured = key
    for number, (run, points) in enumerate(lines.items()):
        steps, values = [step for step, _ in points], [value for _, value in points]
        axes.plot(steps, values, "o-" if measured else "-", markersize=3, linewidth=1,
                  color=COLOURS[number % len(COLOURS)], label=run)  # fmt: skip
    axes.set_title(f"{stage}: {name.replace('_', ' ')}", fontsize=9)
    axes.tick_params(which="both", labelsize=7)
    if is_wide([value for points in lines.values() for _, value in points]):
        axes.set_yscale("log")


def is_wide(values: Sequence[float]) -> bool:
    """Whether they are read on a logarithmic scale."""
    return min(values) > 0 and max(values) > 20 * min(values)
