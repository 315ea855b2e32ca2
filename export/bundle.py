"""An export: every graph of a model as files that are proven to compute the same thing.

A folder with onnx/, engines/, manifest.json and report.md. Each stage (a graph, the whole loop, an
engine) is written beside its place, checked, moved there and recorded; one that is recorded with
the same inputs is not done again.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.files import disk_errors, make_folder, sha256_file

from .engines import onnx_engine
from .finished import engine_key, graph_key, loop_key
from .manifest import (
    FILE,
    check_file,
    is_ours,
    new_manifest,
    read_manifest,
    versions,
    write_manifest,
)
from .sampling import check_sampling, example_calls, record_calls

if TYPE_CHECKING:
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class ExportOptions:
    """What to make. `capabilities` and `backend` are of TensorRT; `batch` is the largest one."""

    precision: str = "fp32"
    check: bool = True
    trt: bool = False
    capabilities: tuple[str, ...] = ()
    backend: str = "tensorrt_rtx"
    device: str = "cpu"
    force: bool = False
    batch: int | None = None
    timeout_s: float = 1800.0

    @property
    def opset(self) -> int:
        """Of the files."""
        from .onnx import BF16_OPSET, OPSET

        return BF16_OPSET if self.precision == "bf16" else OPSET


class Export:
    """One run of an export into one folder."""

    def __init__(self, loaded: "Loaded", out: Path, options: ExportOptions, tell: OnStage) -> None:
        self.loaded, self.out, self.options, self.tell = loaded, out, options, tell
        self.manifest = self._open()
        self.done: list[str] = []

    def _open(self) -> dict[str, Any]:
        """The folder's manifest, or a new one. UsageError where the folder is not ours to fill."""
        options, loaded = self.options, self.loaded
        fresh = new_manifest(loaded.about.name, loaded.sha256, options.precision, options.opset)
        if options.force and is_ours(self.out):
            discard(self.out)
        if not os.path.exists(self.out / FILE):
            if os.path.isdir(self.out) and any(self.out.iterdir()):
                raise UsageError(
                    f"{self.out} holds other files", hint="choose another folder with --out"
                )
            return fresh
        found = read_manifest(self.out)
        for key in ("weights_sha256", "precision", "opset"):
            if found[key] != fresh[key]:
                raise UsageError(
                    f"{self.out} is an export of {key} {str(found[key])[:12]}, "
                    f"not {str(fresh[key])[:12]}",
                    hint="choose another folder with --out, or --force",
                )
        return found

    def run(self) -> None:
        """All stages. DlnError where a proof fails; what failed is not left behind."""
        try:
            self._run()
        finally:
            if not self.manifest["graphs"]:
                discard(self.out)

    def _run(self) -> None:
        if not os.path.exists(self.out / FILE):
            make_folder(self.out)
            self._save()  # killed at any moment from here on, the folder is known as an export
        make_folder(self.out / "onnx")
        graphs: dict[str, Graph] = self.loaded.model.graphs()  # pyright: ignore
        if self.options.batch:
            graphs = {n: with_batch(graph, self.options.batch) for n, graph in graphs.items()}
        for graph in graphs.values():
            self._graph(graph)
        if self.options.check and self.loaded.about.generates and self._executable:
            self._sampling()
        if self.options.trt:
            for graph in graphs.values():
                self._engine(graph)
        if self.done:
            self.manifest["versions"] = versions()
            self._save()

    @property
    def _model(self) -> str:
        """Its name in the registry."""
        return self.loaded.about.name

    @property
    def _executable(self) -> bool:
        return self.options.precision != "bf16"

    def _save(self) -> None:
        from .report import write_report

        write_manifest(self.out, self.manifest)
        write_report(self.out, self.manifest)

    def _finished(self, kind: str, name: str, key: str) -> bool:
        """Whether a stage is recorded with the same inputs. DlnError where its file has changed."""
        entry = self.manifest[kind].get(name)
        if entry is None or entry["key"] != key:
            return False
        check_file(self.out, entry)
        return True

    def _graph(self, graph: "Graph") -> None:
        """Write one graph and hold it against the model."""
        options = self.options
        key = graph_key(self._model, self.loaded.sha256, graph.name, options.precision,
                        options.opset, options.check, options.batch, versions())  # fmt: skip
        if self._finished("graphs", graph.name, key):
            return
        self.tell(f"graph '{graph.name}'")
        with drafted(self.out) as folder:
            entry = self._write(graph, folder / f"{graph.name}.onnx") | {"key": key}
            place(folder, self.out / "onnx")
        self.manifest["graphs"][graph.name] = entry
        self.manifest["sampling"] = None
        self._save()
        self.done.append(graph.name)

    def _write(self, graph: "Graph", path: Path) -> dict[str, Any]:
        from .onnx import write_onnx
        from .precision import HALF, half, quantize, require_precision

        precision = self.options.precision
        write_onnx(half(graph, precision) if precision in HALF else graph, path, self.options.opset)
        if precision == "int8":
            quantize(path, self._calls.get(graph.name) or example_calls(graph))
        found = require_precision(path, precision)
        files = sorted(path.parent.iterdir())
        described = [{"file": f"onnx/{f.name}", "sha256": sha256_file(f), "bytes": f.stat().st_size}
                     for f in files]  # fmt: skip
        own = next(entry for entry in described if entry["file"].endswith(".onnx"))
        return own | {
            "data": [entry for entry in described if entry is not own],
            "sizes": {name: list(asdict(limits).values()) for name, limits in graph.sizes.items()},
            "axes": {name: {str(d): rule for d, rule in rules.items()}
                     for name, rules in graph.axes().items()},
            "weights": found,
            "parity": self._parity(graph, path) if self.options.check else None,
        }  # fmt: skip

    def _parity(self, graph: "Graph", path: Path) -> dict[str, Any]:
        """What the check found, and where the graph was executed for it."""
        from .engines import OnnxEngine
        from .parity import check_calls, check_graph
        from .precision import HalfEngine

        precision = self.options.precision
        if not self._executable:
            found = check_graph(graph, HalfEngine({graph.name: graph}, precision), precision)
            return {"executed": "PyTorch; the file itself was not", **found.report()}
        engine = OnnxEngine({graph.name: path}, self.options.device)
        if precision == "int8" and graph.name in self._calls:
            # Its ranges are those of real activations: random inputs would only measure clipping.
            found = check_calls(graph, engine, precision, self._calls[graph.name])
        else:
            found = check_graph(graph, engine, precision)
        return {"executed": f"ONNX Runtime on {self.options.device}", **found.report()}

    @cached_property
    def _calls(self) -> dict[str, list[dict[str, Any]]]:
        """Calls of real prompts, recorded once."""
        return record_calls(self.loaded) if self.loaded.about.generates else {}

    def _sampling(self) -> None:
        """The whole loop on both engines, with a few prompts."""
        key = loop_key(self._model, self.manifest["graphs"])
        if (self.manifest["sampling"] or {}).get("key") == key:
            return
        self.tell("sampling loop")
        try:
            found = check_sampling(
                self.loaded, onnx_engine(self.out, self.options.device), self.options.precision
            )
        except DlnError:
            discard(self.out)
            raise
        self.manifest["sampling"] = {"key": key, **found}
        self._save()
        self.done.append("sampling")

    def _engine(self, graph: "Graph") -> None:
        """Build one TensorRT engine."""
        from .tensorrt import BuildRequest, build, profile_of

        options, entry = self.options, self.manifest["graphs"][graph.name]
        key = engine_key(self._model, entry, options.backend, options.capabilities)
        if self._finished("engines", graph.name, key):
            return
        self.tell(f"TensorRT engine '{graph.name}'")
        make_folder(self.out / "engines")
        path = self.out / "engines" / f"{graph.name}.engine"
        cache = self.out / "engines" / "timing.cache" if options.backend == "tensorrt" else None
        built = build(
            BuildRequest(
                check_file(self.out, entry), path, profile_of(graph), options.backend,  # pyright: ignore
                options.capabilities, cache, options.timeout_s,
            )
        )  # fmt: skip
        self.manifest["engines"][graph.name] = {
            "file": f"engines/{path.name}",
            "sha256": built.sha256,
            "bytes": built.bytes,
            "backend": built.backend,
            "version": built.version,
            "compute_capabilities": list(built.capabilities),
            "seconds": round(built.seconds, 2),
            "built": True,
            **self._execute(graph, path),
            "key": key,
        }
        self._save()
        self.done.append(f"{graph.name}.engine")

    def _execute(self, graph: "Graph", path: Path) -> dict[str, Any]:
        """Hold an engine against the model where there is a GPU that runs it."""
        import torch

        from .parity import check_graph

        if not torch.cuda.is_available():
            return {"executed": None, "parity": None}
        from .tensorrt_engine import TensorRTEngine

        try:
            engine = TensorRTEngine({graph.name: path}, self.options.backend)  # pyright: ignore
        except MissingCapability as error:
            self.tell(f"not executed: {error.message}")
            return {"executed": None, "parity": None}
        found = check_graph(graph, engine, self.options.precision)
        return {"executed": torch.cuda.get_device_name(), "parity": found.report()}


def recheck(
    folder: Path, loaded: "Loaded", device: str, report: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Hashes and parity of an export's graphs once more: {graph: what was found}.

    Raises UsageError for an export of other weights, DlnError or ParityError for what differs.
    """
    from .parity import check_graph
    from .precision import HalfEngine

    manifest = read_manifest(folder)
    if manifest["weights_sha256"] != loaded.sha256:
        raise UsageError(f"{folder} is an export of other weights", hint="--model RUN or FILE")
    for entry in manifest["engines"].values():
        check_file(folder, entry)
    precision, engine = manifest["precision"], onnx_engine(folder, device)
    graphs: dict[str, Graph] = loaded.model.graphs()  # pyright: ignore
    found: dict[str, Any] = {}
    if precision == "int8":  # random inputs would only measure clipping
        return check_sampling(loaded, engine, precision)["calls"]
    for number, (name, graph) in enumerate(graphs.items()):
        ran = HalfEngine({name: graph}, precision) if precision == "bf16" else engine
        found[name] = check_graph(graph, ran, precision).report()
        report(number + 1, len(graphs), "graphs")
    return found


def with_batch(graph: "Graph", largest: int) -> "Graph":
    """The graph with batches up to `largest`, where it has any."""
    if "batch" not in graph.sizes:
        return graph
    limits = graph.sizes["batch"]
    limits = replace(limits, typical=min(limits.typical, largest), largest=largest)
    return replace(graph, sizes={**graph.sizes, "batch": limits})


@contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """A folder beside the results that is gone afterwards, whatever happens."""
    folder = out / ".draft"
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, target: Path) -> None:
    """Move all files of a draft to where they belong."""
    for path in folder.iterdir():
        with disk_errors(target / path.name):
            path.replace(target / path.name)


def discard(out: Path) -> None:
    """Remove what an export has written, and the folder where nothing else is in it."""
    if not os.path.isdir(out):
        return
    for name in ("onnx", "engines", ".draft"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (FILE, "report.md"):
        (out / name).unlink(missing_ok=True)
    if not any(out.iterdir()):
        out.rmdir()
