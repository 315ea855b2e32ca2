"""Quality against the steps of a diffusion model's sampler."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import atomic_write
from .alignment import KNOWN
from .curvature import COLOURS


def plot_steps(path: Path | str, found: Mapping[int, Mapping[str, Any]]) -> None:
    """Write a PNG, at once or not at all: what `alignment.evaluate` found at each number of steps,
    with 95 % intervals; dashed for held-out pairs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    axes: Any = drawing.add_subplot()
    told = {name for metrics in found.values() for name in metrics}
    heads = [head for known in KNOWN.values() for head in known.heads
             if any(name.endswith(f"{head}_accuracy") for name in told)]  # fmt: skip
    for prefix, style, words in (("", "-", ""), ("held_out_", "--", ", held-out pairs")):
        for head, colour in zip(heads, COLOURS, strict=False):
            stem = f"{prefix}{head}"
            rows = [(n, m) for n, m in found.items() if m.get(f"{stem}_accuracy") is not None]
            if not rows:
                continue
            x = [n for n, _ in rows]
            y, low, high = (
                [100 * metrics[f"{stem}_{end}"] for _, metrics in rows]
                for end in ("accuracy", "low", "high")
            )
            axes.plot(x, y, style, marker="o", color=colour, label=f"{head}{words}")
            axes.fill_between(x, low, high, color=colour, alpha=0.1)
    axes.set(xlabel="steps", ylabel="seen as asked for, %", xscale="log", xticks=list(found))
    axes.set_xticklabels([str(n) for n in found])
    axes.minorticks_off()
    axes.legend(frameon=False)
    with atomic_write(path) as file:
        drawing.savefig(file, format="png", dpi=150)
