"""`dln export --readiness`: what TensorRT would not take of a model, an export or an ONNX file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import UsageError, closest

from .show import Result, table, teller

if TYPE_CHECKING:
    from dln.core.models.package import Loaded
    from dln.export.ranges import Sizes
    from dln.export.readiness import Finding
    from dln.export.tensorrt import Profile

    Ranges = Mapping[str, Sizes]


def readiness(
    model: str,
    level: int,
    ranges: Sequence[str],
    precision: str,
    batch: int | None,
    out: Path | None,
) -> Result:
    """What stands between the graphs and their engines; exit code 1 where anything stops one."""
    from dln.export.ranges import read_range

    if ranges and level < 3:
        raise UsageError(
            "--range is of a real build: add --level 3.", "dln export --readiness --level 3"
        )
    given = dict(map(read_range, ranges))
    if not holds_graphs(model):
        from dln.core.models.locate import look

        look(model)
        from dln.core.models.package import load_model

        return of_model(load_model(model), level, given, precision, batch, out)
    if (folder := export_at(model)) is not None:
        return of_export(folder, level, given)
    return of_files(onnx_files(model) or [], level, given)


def refuse_options(model: str, options: Mapping[str, bool], of_models: Mapping[str, bool]) -> None:
    """UsageError for options beside --readiness that would change nothing: {name: whether given}.

    of_models: those that only say how a model's graphs would be written.
    """
    names = [name for name, given in options.items() if given]
    if names:
        raise UsageError(f"--readiness has no use for {' and '.join(names)}.")
    names = [name for name, given in of_models.items() if given]
    if names and holds_graphs(model):
        raise UsageError(
            f"{model} holds graphs already: --readiness has no use for {' and '.join(names)} there."
        )


def refuse_graphs(model: str) -> None:
    """UsageError for what is to be exported and is an export, or a part of one."""
    if holds_graphs(model):
        if not os.path.exists(model):
            raise UsageError(f"There is no file {model}.", "dln models list")
        what = "a folder of ONNX files" if os.path.isdir(model) else "an ONNX file"
        raise UsageError(
            f"{model} is {what} and no model: there is nothing to export. What TensorRT would not "
            "take of it, --readiness says.",
            f"dln export {model} --readiness",
        )


def holds_graphs(model: str) -> bool:
    """Whether it is graphs that are named, and no model that has them too: names of models come
    first, and a run's folder may hold any other file."""
    from dln.core.models.registry import MODELS

    if model in MODELS or os.path.isfile(os.path.join(model, "model.safetensors")):
        return False
    return export_at(model) is not None or onnx_files(model) is not None


def export_at(model: str) -> Path | None:
    """The folder of an export that is meant: itself or its onnx/, in whatever state it is."""
    from dln.export.manifest import FILE

    folder = Path(model)
    if folder.name == "onnx" and os.path.isfile(folder.parent / FILE):
        folder = folder.parent
    known = os.path.isdir(folder / "onnx") or os.path.isfile(folder / FILE)
    return folder if os.path.isdir(folder) and known else None


def onnx_files(model: str) -> list[Path] | None:
    """The ONNX file that is named, there or not, or those in a folder; None for anything else."""
    path = Path(model)
    if os.path.isdir(path):
        return onnx_in(path) or None
    return [path] if path.suffix.lower() == ".onnx" else None


def onnx_in(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".onnx")


def of_files(paths: Sequence[Path], level: int, given: "Ranges") -> Result:
    check_names(paths, given)
    return verdict(paths, level, found_in(paths, level, {}, {}, given))


def of_export(
    folder: Path,
    level: int,
    given: "Ranges",
    profiles: "Mapping[str, Profile] | None" = None,
) -> Result:
    """An export's graphs, all of which its manifest must name. profiles: of the model's graphs, by
    name, where it is at hand."""
    paths = onnx_in(folder / "onnx")
    check_names(paths, given)
    graphs, missing = recorded(folder)
    there = {path.stem for path in paths}
    for name in sorted({*graphs, *(profiles or {})} - there):
        missing.append(unfinished(folder, name, f"there is no {folder / 'onnx' / name}.onnx"))
    for name in sorted(there - set(graphs)) if graphs else ():
        missing.append(unfinished(folder, name, f"the manifest of {folder} does not name it"))
    if not paths and not missing:
        missing.append(unfinished(folder, folder.name, f"{folder} holds no graphs"))
    found = found_in(paths, level, profiles or {}, graphs, given)
    return verdict(paths, level, [*missing, *found])


def recorded(folder: Path) -> "tuple[dict[str, Ranges], list[Finding]]":
    """The sizes of each graph that an export's manifest names, and what is wrong with it."""
    from dln.export.manifest import FILE, read_manifest

    if not os.path.isfile(folder / FILE):
        return {}, [unfinished(folder, folder.name, f"{folder} has no {FILE}")]
    try:
        graphs = read_manifest(folder)["graphs"]
    except UsageError as error:
        return {}, [unfinished(folder, folder.name, error.message)]
    sizes = {name: entry.get("sizes", {}) for name, entry in graphs.items()}
    return {
        name: {size: (s[0], s[1], s[2]) for size, s in of.items()} for name, of in sizes.items()
    }, []


def unfinished(folder: Path, graph: str, message: str) -> "Finding":
    """What an export lacks, as a finding of one of its graphs."""
    from dln.export.manifest import repair
    from dln.export.readiness import Finding

    return Finding(1, "error", graph, "", "", message, repair(folder))


def of_model(
    loaded: "Loaded",
    level: int,
    given: "Ranges",
    precision: str,
    batch: int | None,
    out: Path | None,
) -> Result:
    """A model's graphs: those of its export, or else written to be looked at, unproven."""
    import tempfile

    from dln.export.graph_files import with_batch
    from dln.export.open import default_folder
    from dln.export.tensorrt import profile_of

    graphs = loaded.model.graphs()  # pyright: ignore
    if batch is not None:
        graphs = {name: with_batch(graph, batch) for name, graph in graphs.items()}
    profiles = {name: profile_of(graph) for name, graph in graphs.items()}
    place = out or default_folder(loaded, precision)
    if (folder := export_at(str(place))) is not None:
        return of_export(folder, level, given, profiles)
    if precision == "int8":
        raise UsageError(
            f"int8 graphs are made from calls of the model, and {place} has none yet.",
            "dln export --precision int8",
        )
    with tempfile.TemporaryDirectory() as made:
        paths = written(graphs, precision, Path(made))
        check_names(paths, given)
        return verdict(paths, level, found_in(paths, level, profiles, {}, given))


def written(graphs: Mapping[str, Any], precision: str, folder: Path) -> list[Path]:
    """The graphs as an export would write them."""
    from dln.export.graph_files import opset_of
    from dln.export.onnx import write_onnx
    from dln.export.precision import HALF, half

    opset = opset_of(precision)
    for name, graph in graphs.items():
        teller("exporting")(f"graph '{name}'")
        made = half(graph, precision) if precision in HALF else graph
        write_onnx(made, folder / f"{name}.onnx", opset)
    return onnx_in(folder)


def check_names(paths: Sequence[Path], given: "Ranges") -> None:
    """UsageError for a range of what no graph has."""
    if not given:
        return
    from dln.export.ranges import inputs_of, names_of
    from dln.export.readiness import read_model

    known = {name for path in paths for name in names_of(inputs_of(read_model(path)))}
    for name in given:
        if name not in known:
            near = closest(name, known)
            there = (
                f"--range takes {', '.join(sorted(known)[:12])}" if known else "leave --range out"
            )
            raise UsageError(f"no input has a dimension {name!r} that varies.{near}", there)


def found_in(
    paths: Sequence[Path],
    level: int,
    profiles: "Mapping[str, Profile]",
    recorded: "Mapping[str, Ranges]",
    given: "Ranges",
) -> "list[Finding]":
    """All findings. recorded: sizes by graph, which those that were given come before."""
    from dln.export.readiness import check

    return [
        finding
        for path in paths
        for finding in check(path, level, profiles, {**recorded.get(path.stem, {}), **given})
    ]


def verdict(paths: Sequence[Path], level: int, found: "Sequence[Finding]") -> Result:
    errors = [finding for finding in found if finding.severity == "error"]
    said = f"{len(errors)} errors, {len(found) - len(errors)} warnings in {len(paths)} graphs"
    data = {
        "level": level,
        "ready": not errors,
        "graphs": [path.stem for path in paths],
        "findings": [vars(finding) for finding in found],
    }
    rows = [finding_row(finding) for finding in found]
    columns = ("graph", "node", "", "finding", "try")
    human = table(columns, rows, title=said) if rows else said
    return Result(data, human, [said], exit_code=1 if errors else 0)


def finding_row(finding: "Finding") -> tuple[str, ...]:
    node = f"{finding.operator} {finding.node}".strip()
    return finding.graph, node, finding.severity, finding.message, finding.hint
