"""`dln bench`: how fast each engine makes a clip, and how far that is from the machine's limit."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigFile, Device, FixedSeed, Force, Json, Precision, Quiet, Verbose
from .places import check_places
from .progress import progress
from .show import Result, screen, table

if TYPE_CHECKING:
    from dln.export.bench import Bench, BenchRequest


class Engine(StrEnum):
    """What computes the model's graphs."""

    torch = "torch"
    compiled = "torch-compile"
    onnx = "onnx"
    trt = "trt"


def bench(
    model: Annotated[
        str, typer.Argument(metavar="NAME|RUN|FILE", help="What to measure.")
    ] = "cogvideo",
    engine: Annotated[
        list[Engine], typer.Option("--engine", help="Repeatable; torch is always the base.")
    ] = [Engine.torch, Engine.onnx],  # noqa: B006 (Typer reads it, nobody changes it)
    runs: Annotated[int, typer.Option(min=1, help="Clips to time for each engine.")] = 5,
    warmup: Annotated[int, typer.Option(min=1, help="Clips before the clock starts.")] = 1,
    precision: Annotated[Precision, typer.Option(help="What the engines compute in.")] = (
        Precision.fp32
    ),
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if left out.")] = (
        None
    ),
    prompt: Annotated[str, typer.Option(help="What the clips show.")] = "lion drinking",
    limit: Annotated[
        float, typer.Option(min=1.0, help="Seconds that one engine may take in all.")
    ] = 1800.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write a report with a chart there."),
    ] = None,
    seed: FixedSeed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Time each engine in a process of its own, and say how far it is from the machine's limit.

    \b
    Examples:
      dln bench
      dln bench runs/mine --engine onnx --engine trt --runs 20 --out report/
      dln bench --engine torch --threads 1 --json
    """
    from dln.export.bench import BenchRequest

    if out is not None:
        check_report(out, force)
    asked = BenchRequest(
        model=model,
        engines=tuple(one.value for one in engine),
        runs=runs,
        warmup=warmup,
        precision=precision.value,
        threads=threads,
        prompt=prompt,
        seed=seed,
        device=device,
        limit_s=limit,
    )
    found = measure(asked)
    return summary(found, [] if out is None else report(out, found))


def check_report(folder: Path, force: bool) -> None:
    """UsageError before any minute is spent: a report is there already, or none can be made."""
    from dln.export.bench_report import CHART, PAGE

    check_places([folder / PAGE, folder / CHART], force)


def measure(asked: "BenchRequest") -> "Bench":
    from dln.export.bench import bench as compare

    with progress() as report:
        found = compare(asked, on_progress=report, on_note=screen.note)
    for gone in found.missing:
        screen.note(f"{gone.engine} is not here: {gone.reason}")
    return found


def report(folder: Path, found: "Bench") -> list[str]:
    """Write the report; return the paths of its files."""
    from dln.export.bench_report import write_report

    return [str(path) for path in write_report(folder, found)]


def summary(found: "Bench", paths: list[str]) -> Result:
    """Tables for a person, everything for a program, and "engine seconds" lines for --quiet."""
    data = {**found.data(), "report": paths}
    brief = [f"{one.name} {one.clip_median_s:.4g}" for one in found.engines]
    return Result(data, drawn(found, paths), brief)


def drawn(found: "Bench", paths: list[str]) -> Any:
    """The engines side by side, each one's graphs, and what the numbers hold for."""
    from rich.console import Group
    from rich.text import Text

    from dln.export.bench_report import (
        ENGINE_COLUMNS,
        GRAPH_COLUMNS,
        engine_row,
        graph_rows,
        remarks,
    )

    parts: list[Any] = [table(ENGINE_COLUMNS, [engine_row(one) for one in found.engines]), ""]
    for one in found.engines:
        parts += [table(GRAPH_COLUMNS, list(graph_rows(one)), title=one.name), ""]
    return Group(*parts, *map(Text, [*remarks(found), *paths]))
