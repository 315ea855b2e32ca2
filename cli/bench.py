"""`dln bench`: how fast each engine makes a clip, and how far that is from the machine's limit."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError

from . import completion
from .generate import given
from .options import ConfigFile, Device, FixedSeed, Force, Json, Precision, Quiet, Verbose
from .places import check_places
from .progress import progress
from .show import Result, screen, table

if TYPE_CHECKING:
    from dln.export.bench import Bench
    from dln.export.bench_request import BenchRequest


class Engine(StrEnum):
    """What computes the model's graphs."""

    torch = "torch"
    compiled = "torch-compile"
    onnx = "onnx"
    trt = "trt"


def bench(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|RUN|FILE",
            help="What to measure; default: cogvideo.",
            autocompletion=completion.weights,
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        list[Engine], typer.Option("--engine", help="Repeatable; torch is always the base.")
    ] = [Engine.torch, Engine.onnx],  # noqa: B006 (Typer reads it, nobody changes it)
    runs: Annotated[
        int | None,
        typer.Option(min=1, help="Clips to time for each engine: 5; rounds of --beside: 15."),
    ] = None,
    warmup: Annotated[int, typer.Option(min=1, help="Clips before the clock starts.")] = 1,
    precision: Annotated[Precision, typer.Option(help="What the engines compute in.")] = (
        Precision.fp32
    ),
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if left out.")] = (
        None
    ),
    prompt: Annotated[
        str | None, typer.Option(help="What the clips show; default: what the model can read.")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=1.0, help="Seconds that one engine may take in all.")
    ] = 1800.0,
    beside: Annotated[
        bool,
        typer.Option(
            "--beside",
            help="Time a step of each generator instead, beside GPT-2, other packages' U-Nets and "
            "StyleGAN2.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Train instead, by sgd,sam,saf,mesa, or variants of a model that tells some "
            "(all), and compare.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.data,
            metavar="NAME|DIR",
            help="What --against trains on; unless told menagerie, or what a model of variants "
            "learnt from.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings a method of --against: 5, a variant 1.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each such training: 40, of a variant 1.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=2, help="Samples of a built-in world for --against.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Of --against; default the model's.")] = None,
    sharpness: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,...", help="As in dln train, for --against.")
    ] = None,
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
      dln bench resnet --against sgd,sam,saf,mesa --data digits,noise=0.2 --epochs 60
      dln bench runs/land --against all --out variants/
      dln bench --beside
    """
    if beside:
        from .beside import beside as race

        refuse_beside(model=model, against=against, prompt=prompt, out=out,
                      precision=None if precision is Precision.fp32 else precision)  # fmt: skip
        return race(tuple(one.value for one in engine), given(rounds=runs), threads, device)
    model = model or "cogvideo"
    if against is not None:
        from dln.core.models.locate import identify
        from dln.core.models.registry import load

        methods = tuple(filter(None, (word.strip() for word in against.split(","))))
        wanted = given(seeds=seeds, epochs=epochs, count=count, lr=lr, data=data)
        if load(identify(model)).ablations:
            if sharpness is not None:
                raise UsageError("variants are trained without --sharpness.", "leave it out")
            return varied(model, methods, wanted, out, force)
        return trained(model, methods, wanted, sharpness, out, force)
    from dln.export.bench_request import BenchRequest

    if out is not None:
        check_report(out, force)
    from dln.core.installed import need_torch

    need_torch("dln bench")
    asked = BenchRequest(
        model=model,
        engines=tuple(one.value for one in engine),
        runs=runs or 5,
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


def refuse_beside(**asked: Any) -> None:
    """UsageError for what --beside has no use for."""
    for name in given(**asked):
        what = name if name == "model" else f"--{name}"
        raise UsageError(f"--beside times all generators in fp32 and takes no {what}.",
                         "dln bench --beside")  # fmt: skip


def trained(
    model: str,
    methods: tuple[str, ...],
    wanted: dict[str, Any],
    sharpness: str | None,
    out: Path | None,
    force: bool,
) -> Result:
    """The study of methods for flat minima."""
    from dln.core.models.registry import find
    from dln.core.study.report import COLUMNS, NUMBERS, PAGE, PICTURE, about, cells, write
    from dln.core.study.study import Comparison, study
    from dln.core.training.sharpness import parse

    find(model)
    settings = parse(f"none,{sharpness}" if sharpness else None)
    chosen: dict[str, Any] = {"data": "menagerie", **wanted}
    asked = Comparison(model, methods=methods, settings=settings, **chosen)
    if out:
        check_places([out / PAGE, out / PICTURE, out / NUMBERS], force)
    with progress() as report:
        found = study(asked, report)
    paths = [str(path) for path in write(out, found)] if out else []
    rows = cells(found)
    brief = [f"{row.method} {row.accuracy:.4f} {row.top_hessian_eigenvalue:.4g}"
             for row in found.rows()]  # fmt: skip
    return Result({**found.to_json(), "report": paths}, table(COLUMNS, rows, about(found)), brief)


def varied(
    model: str, variants: tuple[str, ...], wanted: dict[str, Any], out: Path | None, force: bool
) -> Result:
    """The comparison of a model's variants."""
    from dln.core.study.ablation import COLUMNS, Ablation, ablation, about, cells, write
    from dln.core.study.report import NUMBERS, PAGE

    asked = Ablation(model, variants, **wanted)
    if out:
        check_places([out / PAGE, out / NUMBERS], force)
    with progress() as report:
        found = ablation(asked, report)
    paths = [str(path) for path in write(out, found)] if out else []
    rows = cells(found)
    brief = [" ".join(row) for row in rows]
    return Result({**found.to_json(), "report": paths}, table(COLUMNS, rows, about(found)), brief)


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
