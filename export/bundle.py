"""An export: every graph of a model as files that are proven to compute the same thing.

A folder with onnx/, engines/, manifest.json and report.md. Each stage (a graph, the whole loop, an
engine) is written beside its place, checked, moved there and recorded; one that is recorded with
the same inputs is not done again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.files import make_folder, remove

from .description import describe
from .engines import onnx_engine
from .finished import proven
from .folder import discard, drafted, held, place, refuse_link
from .graph_files import GraphFiles, sizes_of, with_batch
from .keys import engine_key, graph_key, loop_key
from .manifest import (
    FILE,
    PRECISIONS,
    check_file,
    new_manifest,
    read_manifest,
    versions,
    write_manifest,
)
from .sampling import check_sampling

if TYPE_CHECKING:
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded

    from .kit import Kit

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class ExportOptions:
    """What to make. `capabilities` and `backend` are of TensorRT; `batch` is the largest one.

    force: what exports have written into the folder goes first. renew: so does an export there
    that is another one or damaged, which is an error otherwise; this is for copies that are made
    to be run, and graphs that came along with their weights are taken as they were proven. traced:
    whether others are written too.
    """

    precision: str = "fp32"
    check: bool = True
    trt: bool = False
    capabilities: tuple[str, ...] = ()
    backend: str = "tensorrt_rtx"
    device: str = "cpu"
    force: bool = False
    renew: bool = False
    traced: bool = True
    batch: int | None = None
    timeout_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"a precision is one of {', '.join(PRECISIONS)}, "
                             f"not {self.precision!r}.")  # fmt: skip


class Export:
    """One run of an export into one folder, which is this run's alone while it lasts."""

    def __init__(self, loaded: "Loaded", out: Path, options: ExportOptions, tell: OnStage) -> None:
        self.loaded, self.out, self.options, self.tell = loaded, out, options, tell
        self.manifest: dict[str, Any] = {}
        self._saved, self._written = "", []
        self._files = GraphFiles(loaded, options.precision, options.device)
        self.done: list[str] = []

    def run(self) -> None:
        """All stages. UsageError where the folder is not ours to fill, DlnError where a proof
        fails; what failed is not left behind."""
        with held(self.out, self.tell):
            self.manifest = self._open()
            try:
                self._run()
            finally:
                if not self.manifest["graphs"]:
                    discard(self.out)

    def _open(self) -> dict[str, Any]:
        """The folder's manifest, or a new one."""
        options, loaded = self.options, self.loaded
        names = list(loaded.model.graphs())  # pyright: ignore
        fresh = new_manifest(
            self._model, loaded.sha256, options.precision, self._files.opset, names
        )
        fresh["description"] = describe(loaded)
        if options.force:
            discard(self.out)
        if not (self.out / FILE).exists():
            return fresh
        try:
            found = self._same(read_manifest(self.out), fresh)
            self._saved = json.dumps(found)
            return found
        except UsageError:
            if not options.renew:
                raise
        discard(self.out)
        return fresh

    def _same(self, found: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
        """What is there, where it is an export of the same. UsageError for another one."""
        for key in ("model", "weights_sha256", "precision", "opset", "names"):
            if found[key] != fresh[key]:
                raise UsageError(
                    f"{self.out} is an export of {key} {str(found[key])[:12]}, "
                    f"not {str(fresh[key])[:12]}",
                    hint="choose another folder with --out, or --force",
                )
        return found | {"description": fresh["description"]}

    def _run(self) -> None:
        if not (self.out / FILE).exists():
            self._save()  # killed at any moment from here on, the folder is known as an export
        graphs: dict[str, Graph] = self.loaded.model.graphs()  # pyright: ignore
        for graph in graphs.values():
            self._graph(graph)
        if self.options.check and self.loaded.about.generates and self._files.executable:
            self._sampling()
        if self.options.trt:
            for graph in graphs.values():
                self._engine(graph)
        if self.done:
            self.manifest["versions"] = versions(self._model)
        self._save()  # also where a run was killed between the manifest and the report

    @property
    def _model(self) -> str:
        """Its name in the registry."""
        return self.loaded.about.name

    def _save(self) -> None:
        """Manifest and report, where they are not so on the disk already."""
        from .report import is_current, write_report

        now = json.dumps(self.manifest)
        if now != self._saved:
            write_manifest(self.out, self.manifest)
            self._saved = now
        if not is_current(self.out, self.manifest):
            write_report(self.out, self.manifest)

    def _there(self, kind: str, name: str, key: str) -> bool:
        """Whether a stage is recorded with the same inputs. DlnError where its file has changed,
        unless that is to be mended."""
        entry = self.manifest[kind].get(name)
        if entry is None or entry["key"] != key:
            return False
        try:
            check_file(self.out, entry)
        except DlnError:
            if not self.options.renew:
                raise
            return False
        return True

    def _graph(self, graph: "Graph") -> None:
        """Write one graph and hold it against the model, each where it is not done yet."""
        options, name, limits = self.options, graph.name, with_batch(graph, self.options.batch)
        key = graph_key(self._model, self.loaded.sha256, name, options.precision, self._files.opset)
        there = self._there("graphs", name, key)
        if there and (not options.check or proven(self.manifest["graphs"][name], options.batch)):
            return
        self.tell(f"graph '{name}'")
        if there:
            self._prove_again(limits)
        else:
            with drafted(self.out) as folder:
                path = folder / f"{name}.onnx"
                entry = self._unpacked(graph, path) or self._files.write(graph, path)
                entry = entry | {"key": key}
                if options.check and not proven(entry, options.batch):
                    entry["parity"] = self._files.prove(limits, path)
                place(folder, self.out / "onnx")
            self.manifest["graphs"][name] = entry
            self.manifest["sampling"] = None
            self._written.append(name)
        self._save()
        self.done.append(name)

    def _prove_again(self, graph: "Graph") -> None:
        """Hold a graph that is there against the model. What differs goes."""
        entry = self.manifest["graphs"][graph.name]
        try:
            entry["parity"] = self._files.prove(graph, self.out / entry["file"])
        except DlnError:
            self._forget([graph.name])
            raise

    def _unpacked(self, graph: "Graph", path: Path) -> dict[str, Any] | None:
        """The graph as it came along with the weights, proven; None where it did not. DlnError
        where nothing is to be traced either."""
        entry = self._kit.write(graph, path) if self._kit else None
        if entry is None and not self.options.traced:
            raise DlnError(f"graph '{graph.name}' did not come along with the weights",
                           hint="dln export")  # fmt: skip
        return entry

    @cached_property
    def _kit(self) -> "Kit | None":
        from .kit import kit_of

        takes = self.options.renew and self.options.precision == "fp32"
        return kit_of(self.loaded) if takes else None

    def _sampling(self) -> None:
        """The whole loop on both engines, with a few prompts."""
        key = loop_key(self._model, self.manifest["graphs"])
        if (self.manifest["sampling"] or {}).get("key") == key:
            return
        if self._kit and self._as_packed(self._kit):
            self.manifest["sampling"] = self._kit.manifest["sampling"] | {"key": key}
            self.manifest["proven_with"] = self._kit.manifest["versions"]
            self._save()
            return
        self.tell("sampling loop")
        try:
            found = check_sampling(
                self.loaded, onnx_engine(self.out, self.options.device), self.options.precision
            )
        except DlnError:
            self._forget(self._written)
            raise
        self.manifest["sampling"] = {"key": key, **found}
        self.manifest.pop("proven_with", None)
        self._save()
        self.done.append("sampling")

    def _as_packed(self, kit: "Kit") -> bool:
        """Whether all graphs are those that came along, whose loop was proven with them."""
        packed = kit.manifest["graphs"]
        return all(e["sha256"] == packed[n]["sha256"] for n, e in self.manifest["graphs"].items())

    def _forget(self, names: Sequence[str]) -> None:
        """Remove graphs, and with them what was proven of the loop."""
        self.manifest["sampling"] = None
        for name in names:
            entry = self.manifest["graphs"].pop(name)
            for part in (entry, *entry["data"]):
                remove(self.out / part["file"])
        self._save()

    def _engine(self, graph: "Graph") -> None:
        """Build one TensorRT engine."""
        options, name, graph = self.options, graph.name, with_batch(graph, self.options.batch)
        sha256 = self.manifest["graphs"][name]["sha256"]
        key = engine_key(self._model, sha256, options.backend, options.capabilities,
                         gpu_of(options.backend), sizes_of(graph))  # fmt: skip
        if self._there("engines", name, key):
            return
        self.tell(f"TensorRT engine '{name}'")
        entry = self._build(graph)
        try:
            entry |= self._execute(graph, self.out / entry["file"])
        except DlnError:  # what differs goes, and the engine that it has replaced is gone already
            self.manifest["engines"].pop(name, None)
            remove(self.out / entry["file"])
            self._save()
            raise
        self.manifest["engines"][name] = entry | {"key": key}
        self._save()
        self.done.append(f"{name}.engine")

    def _build(self, graph: "Graph") -> dict[str, Any]:
        """The engine's entry in the manifest, once it lies in its place."""
        from .tensorrt import BuildRequest, build, profile_of

        options, folder = self.options, self.out / "engines"
        refuse_link(folder)
        make_folder(folder)
        onnx = check_file(self.out, self.manifest["graphs"][graph.name])
        path = folder / f"{graph.name}.engine"
        cache = folder / "timing.cache" if options.backend == "tensorrt" else None
        built = build(
            BuildRequest(onnx, path, profile_of(graph), options.backend,  # pyright: ignore
                         options.capabilities, cache, options.timeout_s)
        )  # fmt: skip
        return {
            "file": f"engines/{path.name}",
            "sha256": built.sha256,
            "bytes": built.bytes,
            "backend": built.backend,
            "version": built.version,
            "compute_capabilities": list(built.capabilities),
            "seconds": round(built.seconds, 2),
            "sizes": sizes_of(graph),
            "built": True,
        }

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


def gpu_of(backend: str) -> str | None:
    """The GPU that TensorRT builds for; None for TensorRT-RTX, whose engines are for several."""
    import torch

    return torch.cuda.get_device_name() if backend == "tensorrt" else None
