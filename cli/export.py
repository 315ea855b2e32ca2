"""`dln export`: a model's graphs as ONNX files and TensorRT engines, proven equal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dln.core.errors import UsageError
from dln.core.text.shown import on_one_line

from . import completion
from .generate import fetched
from .options import ConfigFile, Device, Download, DryRun, Force, Json, Precision, Quiet, Verbose
from .show import Result, screen, table, teller

if TYPE_CHECKING:
    from dln.core.models.package import Loaded
    from dln.export.bundle import ExportOptions


def export(
    model: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.weights,
            metavar="[NAME|RUN|FILE]",
            help="A model, a run, its weights or diffusers:FOLDER; with --readiness ONNX files.",
        ),
    ] = "cogvideo",
    onnx: Annotated[bool, typer.Option("--onnx", help="ONNX files alone: the default.")] = False,
    trt: Annotated[
        bool, typer.Option("--trt", help="TensorRT engines too, also without a GPU.")
    ] = False,
    precision: Annotated[Precision, typer.Option(help="Of weights and products.")] = Precision.fp32,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="The largest that graphs are proven and engines built for."),
    ] = None,
    compute_capability: Annotated[
        str | None,
        typer.Option(metavar="80,86,...", help="GPUs that TensorRT-RTX engines are for."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Hold each graph against the model.")
    ] = True,
    readiness: Annotated[
        bool, typer.Option("--readiness", help="Only say what TensorRT would not take.")
    ] = False,
    level: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="Of --readiness: 1 a table, 2 the parser, 3 a real build."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=MIN,TYPICAL,MAX", help="Of --level 3: sizes."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Default: exports/MODEL-PRECISION."),
    ] = None,
    download: Download = False,
    device: Device = "auto",
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    config: ConfigFile = None,
) -> Result:
    """Write every graph of a model as ONNX, and with --trt as TensorRT engines.

    Each graph is run beside the model at many shapes, then whole clips are sampled on both. What
    differs is not kept. A second run does only what is not done yet.

    \b
    Examples:
      dln export
      dln export --trt --compute-capability 89,120
      dln export runs/mine --precision fp16 --out exports/mine
      dln export diffusers:wan --out exports/wan
      dln export --readiness --level 2
      dln export model.onnx --readiness --level 3 --range batch=1,8,64
    """
    if onnx and trt:
        raise UsageError("--trt writes the ONNX files too: give one of --onnx and --trt.")
    if readiness:
        from .readiness import readiness as readiness_of
        from .readiness import refuse_options

        idle = {
            "--onnx": onnx, "--trt": trt, "--compute-capability": compute_capability is not None,
            "--no-check": not check, "--device": device != "auto", "--force": force,
            "--dry-run": dry_run, "--download": download,
        }  # fmt: skip
        written = {"--precision": precision != Precision.fp32, "--batch": batch is not None,
                   "--out": out is not None}  # fmt: skip
        refuse_options(model, idle, written)
        return readiness_of(model, level or 1, ranges or [], precision.value, batch, out)
    from .readiness import refuse_graphs

    model = fetched(model) if download else model

    if level is not None or ranges:
        raise UsageError(
            "--level and --range are of --readiness.", "dln export --readiness --level 3"
        )
    from dln.core.models.locate import look

    refuse_graphs(model)
    look(model)
    anew = force or dry_run or not check
    asked = model, trt, precision, batch, compute_capability, device, out
    if not anew and (there := nothing_to_do(*asked)):
        return there
    from dln.core.models.package import load_model

    loaded = load_model(model)
    options, place = options_of(loaded, trt, precision, batch, compute_capability, check, device,
                                force, out)  # fmt: skip
    if dry_run:
        return intention(loaded, options, place)
    return carry_out(loaded, options, place)


def nothing_to_do(
    model: str,
    trt: bool,
    precision: Precision,
    batch: int | None,
    capabilities: str | None,
    device: str,
    out: Path | None,
) -> Result | None:
    """What is there, where nothing would be added to it; told without PyTorch, so in a moment."""
    from dln.export.finished import finished, gpu_in_sight

    if device not in ("auto", "cpu") or (capabilities and not trt) or (trt and gpu_in_sight()):
        return None
    there = finished(model, precision.value, batch, out, portable(capabilities) if trt else None)
    return outcome(*there, done=[]) if there else None


def portable(capabilities: str | None) -> tuple[str, ...]:
    """The GPUs that TensorRT-RTX's engines are for. UsageError for those that it does not know."""
    from dln.export.tensorrt import DEFAULT_CAPABILITIES
    from dln.export.tensorrt import capabilities as known

    return known(capabilities.split(",")) if capabilities else DEFAULT_CAPABILITIES


def options_of(
    loaded: "Loaded",
    trt: bool,
    precision: Precision,
    batch: int | None,
    capabilities: str | None,
    check: bool,
    device: str,
    force: bool,
    out: Path | None,
) -> "tuple[ExportOptions, Path]":
    """What was asked for, resolved; UsageError and MissingCapability before any work."""
    from dln.core.models.engine import pick_device
    from dln.export.bundle import ExportOptions
    from dln.export.open import default_folder
    from dln.export.tensorrt import choose_backend

    place = pick_device(device)
    backend, wanted = "tensorrt_rtx", ()
    if capabilities and not trt:
        raise UsageError("--compute-capability is of TensorRT engines: add --trt.")
    if trt:
        backend = choose_backend(place)
        asked = portable(capabilities)
        wanted = asked if backend == "tensorrt_rtx" else ()
    options = ExportOptions(
        precision=precision.value, check=check, trt=trt, capabilities=wanted, backend=backend,
        device=place, force=force, batch=batch,
    )  # fmt: skip
    return options, out or default_folder(loaded, precision.value)


def intention(loaded: "Loaded", options: "ExportOptions", place: Path) -> Result:
    """What --dry-run shows."""
    from dataclasses import asdict

    asked = {"model": loaded.about.name, **asdict(options), "path": str(place)}
    graphs = list(loaded.model.graphs())  # pyright: ignore
    data = {"dry_run": True, **asked, "graphs": graphs}
    lines = [on_one_line(f"{name} {value}") for name, value in asked.items()]
    lines += [f"would write {on_one_line(str(place / 'onnx' / graph))}.onnx" for graph in graphs]
    return Result(data, "\n".join(lines), [str(place)])


def carry_out(loaded: "Loaded", options: "ExportOptions", place: Path) -> Result:
    """Export, and say what was done and proven."""
    from dln.export.bundle import Export

    export = Export(loaded, place, options, teller("exporting"))
    export.run()
    return outcome(place, export.manifest, export.done)


def outcome(place: Path, manifest: dict[str, Any], done: list[str]) -> Result:
    """What an export holds, and what of it this run has made."""
    from dln.export.report import loop_words

    rows = [(name, proof_of(entry)) for name, entry in manifest["graphs"].items()]
    rows += [("sampling loop", loop_words(manifest["sampling"]))]
    rows += [(f"{name}.engine", engine_proof(e)) for name, e in manifest["engines"].items()]
    if not done:
        screen.note("nothing to do: all of it is there already.")
    data = {"path": str(place), "done": done, "manifest": manifest}
    return Result(data, with_path(table(("stage", "result"), rows), place), [str(place)])


def with_path(drawn: Any, place: Path) -> Any:
    from rich.console import Group
    from rich.text import Text

    return Group(drawn, Text(on_one_line(str(place))))


def proof_of(entry: dict[str, Any]) -> str:
    parity = entry["parity"]
    if parity is None:
        return "written, not checked"
    ratio = "" if parity["snr_db"] is None else f", {parity['snr_db']} dB"
    codes = f", {parity['differing']:.2%} of the integers differ" if parity["differing"] else ""
    found = f"{parity['runs']} runs, largest error {parity['error']:.1e}{ratio}{codes}"
    return f"{found} ({parity['executed']})"


def engine_proof(entry: dict[str, Any]) -> str:
    targets = ", ".join(entry["compute_capabilities"]) or "the GPU here"
    ran = f"verified on {entry['executed']}" if entry["executed"] else "built, not executed here"
    return f"{ran} ({entry['backend']} {entry['version']}, for {targets})"
