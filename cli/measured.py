"""What `dln evaluate` shows of what it measured."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .show import Result, number, table


def against_steps(
    model: str, asked: dict[str, Any], found: Mapping[Any, Mapping[str, Any]], out: Path | None
) -> Result:
    """A column for each number of steps; drawn where `out` says."""
    from dln.core.metrics.steps import plot_steps

    if out is not None:
        plot_steps(out, found)
        asked["plot"] = str(out)
    columns = [dict(lines(metrics)) for metrics in found.values()]
    names = [name for name in columns[0] if name != "seen otherwise"]
    rows = [(name, *(column.get(name, "") for column in columns)) for name in names]
    title = ("metric", *(f"{n} steps" for n in found))
    data = {"model": model, **asked, "steps": {str(n): metrics for n, metrics in found.items()}}
    return Result(data, table(title, rows, title=model), [" ".join(row) for row in rows])


def drawn_pace(found: Mapping[str, Any], out: Path | None) -> dict[str, str]:
    """Where the pace is drawn, if anywhere."""
    if out is None:
        return {}
    from dln.core.metrics.pace import plot_pace

    plot_pace(out, [value for name, value in found.items() if name.endswith("curve")])
    return {"plot": str(out)}


def summary(model: str, asked: Mapping[str, Any], metrics: Mapping[str, Any]) -> Result:
    rows = list(lines(metrics))
    brief = [f"{name} {value}" for name, value in rows]
    data = {"model": model, **asked, "metrics": metrics}
    return Result(data, table(("metric", "value"), rows, title=model), brief)


def lines(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A row a metric, with its 95 % interval if any, and one a clip that shows something else."""
    for name, value in metrics.items():
        label = name.replace("_", " ")
        if name.endswith(("_low", "_high", "curve")):
            continue
        if name.endswith("confusions"):
            for miss in value:
                yield "seen otherwise", f"{miss['prompt']}: {miss['seen']}"
        else:
            yield label, number(value) + interval(name, metrics)


def interval(name: str, metrics: Mapping[str, Any]) -> str:
    """What follows a value: actor_accuracy has actor_low and actor_high, kernel_distance has
    kernel_distance_low and kernel_distance_high, and most have none."""
    stem = name.removesuffix("_accuracy")
    low, high = (metrics.get(f"{stem}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f" (95 %: {number(low)} to {number(high)})"
