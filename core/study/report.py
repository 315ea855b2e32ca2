"""A study to read: rows for tables, a Markdown page, a picture of every seed."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from ..files import atomic_write, make_folder
from ..text.shown import in_markdown
from .study import BASE, Study

PAGE, PICTURE, NUMBERS = "study.md", "study.png", "study.json"
COLUMNS = ("method", "accuracy", "top eigenvalue", "below SGD's", "SAM's sharpness", "x step time",
           "MiB more")  # fmt: skip
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # Okabe and Ito's


def cells(study: Study) -> list[tuple[str, ...]]:
    """A row a method under COLUMNS."""
    seeds = study.request.seeds
    return [
        (
            row.method,
            f"{100 * row.accuracy:.2f} ± {100 * row.accuracy_deviation:.2f} %",
            f"{row.top_hessian_eigenvalue:.3g}",
            "-" if row.method == BASE else f"{row.flatter} of {seeds}",
            f"{row.sam_sharpness:.3g}",
            f"{row.step_ratio:.2f}",
            f"{row.memory_mib:.3g}",
        )
        for row in study.rows()
    ]


def about(study: Study) -> str:
    asked = study.request
    return (
        f"{asked.model} on {asked.data}: {asked.seeds} seeds, {asked.epochs} epochs, batches of "
        f"{asked.batch}, SGD with momentum 0.9 under each. Accuracy on samples that never teach, "
        "mean and deviation over seeds; eigenvalue and sharpness of the training loss; step time: "
        "median over seeds of the ratio to SGD's."
    )


def markdown(study: Study) -> str:
    lines = ["# Flat minima", "", in_markdown(about(study)), "", f"| {' | '.join(COLUMNS)} |"]
    lines.append(f"|{' --- |' * len(COLUMNS)}")
    lines += [f"| {' | '.join(row)} |" for row in cells(study)]
    return "\n".join([*lines, "", f"![every seed]({PICTURE})", ""])


def write(folder: Path, study: Study) -> list[Path]:
    """study.md, study.png and study.json."""
    make_folder(folder)
    with atomic_write(folder / PAGE, "w") as file:
        file.write(markdown(study))
    with atomic_write(folder / PICTURE) as file:
        file.write(picture(study))
    with atomic_write(folder / NUMBERS, "w") as file:
        json.dump(study.to_json(), file, indent=2)
    return [folder / name for name in (PAGE, PICTURE, NUMBERS)]


def picture(study: Study) -> bytes:
    """A PNG: accuracy against the largest eigenvalue, a point a seed and method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(drawing)
    axes: Any = drawing.add_subplot()
    for method, colour in zip(study.request.methods, COLOURS, strict=False):
        arms = [arm for arm in study.arms if arm.method == method]
        x = [arm.top_hessian_eigenvalue for arm in arms]
        axes.scatter(x, [100 * arm.accuracy for arm in arms], color=colour, label=method)
    axes.set(xlabel="largest Hessian eigenvalue", ylabel="accuracy, %", xscale="log")
    axes.legend(frameon=False)
    file = BytesIO()
    drawing.savefig(file, format="png", dpi=150)
    return file.getvalue()
