"""An export: every graph of a model as files that are proven to compute the same thing.

A folder with onnx/, engines/, manifest.json and report.md. Each stage (a graph, the whole loop, an
engine) is written beside its place, checked, moved there and recorded; one that is recorded with
the same inputs is not done again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability, UsageError
from dln.core.files import make_folder, sha256_file

from .engines import onnx_engine
from .finished import proven
from .folder import discard, drafted, held, place, remove
from .keys import engine_key, graph_key, limited, loop_key
from .manifest import (
    FILE,
    PRECISIONS,
    check_file,
    new_manifest,
    read_manifest,
    versions,
    write_manifest,
)
from .sampling import check_sampling, example_calls, record_calls

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
    to be run, and graphs that came along with their weights are taken as they were proven.
    """

    precision: str = "fp32"
    check: bool = True
    trt: bool = False
    capabilities: tuple[str, ...] = ()
    backend: str = "tensorrt_rtx"
    device: str = "cpu"
    force: bool = False
    renew: bool = False
    batch: int | None = None
    timeout_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"a precision is one of {', '.join(PRECISIONS)}, "
                             f"not {self.precision!r}.")  # fmt: skip

    @property
    def opset(self) -> int:
        """Of the files."""
        from .onnx import BF16_OPSET, OPSET

        return BF16_OPSET if self.precision == "bf16" else OPSET


class Export:
    """One run of an export into one folder, which is this run's alone while it lasts."""

    def __init__(self, loaded: "Loaded", out: Path, options: ExportOptions, tell: OnStage) -> None:
        self.loaded, self.out, self.options, self.tell = loaded, out, options, tell
        self.manifest: dict[str, Any] = {}
        self._saved = ""
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
        fresh = new_manifest(self._model, loaded.sha256, options.precision, options.opset, names)
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
        return found

    def _run(self) -> None:
        if not (self.out / FILE).exists():
            self._save()  # killed at any moment from here on, the folder is known as an export
        graphs: dict[str, Graph] = self.loaded.model.graphs()  # pyright: ignore
        for graph in graphs.values():
            self._graph(graph)
        if self.options.check and self.loaded.about.generates and self._executable:
            self._sampling()
        if self.options.trt:
            for graph in graphs.values():
                self._engine(graph)
        if self.done:
            self.manifest["versions"] = versions()
        self._save()  # also where a run was killed between the manifest and the report

    @property
    def _model(self) -> str:
        """Its name in the registry."""
        return self.loaded.about.name

    @property
    def _executable(self) -> bool:
        return self.options.precision != "bf16"

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
        key = graph_key(self._model, self.loaded.sha256, name, options.precision, options.opset)
        there = self._there("graphs", name, key)
        if there and (not options.check or proven(self.manifest["graphs"][name], options.batch)):
            return
        self.tell(f"graph '{name}'")
        if there:
            path = self.out / self.manifest["graphs"][name]["file"]
            self.manifest["graphs"][name]["parity"] = self._parity(limits, path)
        else:
            with drafted(self.out) as folder:
                path = folder / f"{name}.onnx"
                entry = self._unpacked(graph, path) or self._write(graph, path)
                entry = entry | {"key": key}
                if options.check and not proven(entry, options.batch):
                    entry["parity"] = self._parity(limits, path)
                place(folder, self.out / "onnx")
            self.manifest["graphs"][name] = entry
            self.manifest["sampling"] = None
        self._save()
        self.done.append(name)

    def _unpacked(self, graph: "Graph", path: Path) -> dict[str, Any] | None:
        """The graph as it came along with the weights, proven; None where it did not."""
        return self._kit.write(graph, path) if self._kit else None

    @cached_property
    def _kit(self) -> "Kit | None":
        from .kit import kit_of

        takes = self.options.renew and self.options.precision == "fp32"
        return kit_of(self.loaded) if takes else None

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
            "sizes": sizes_of(graph),
            "axes": {name: {str(d): rule for d, rule in rules.items()}
                     for name, rules in graph.axes().items()},
            "weights": found,
            "parity": None,
        }  # fmt: skip

    def _parity(self, graph: "Graph", path: Path) -> dict[str, Any]:
        """What the check found, at which sizes, and where the graph was executed for it."""
        return {"sizes": sizes_of(graph), **self._compared(graph, path)}

    def _compared(self, graph: "Graph", path: Path) -> dict[str, Any]:
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
            self._forget(self.done)
            raise
        self.manifest["sampling"] = {"key": key, **found}
        self._save()
        self.done.append("sampling")

    def _as_packed(self, kit: "Kit") -> bool:
        """Whether all graphs are those that came along, whose loop was proven with them."""
        packed = kit.manifest["graphs"]
        return all(e["sha256"] == packed[n]["sha256"] for n, e in self.manifest["graphs"].items())

    def _forget(self, names: Sequence[str]) -> None:
        """Remove graphs that this run has written."""
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
        self.manifest["engines"][name] = self._build(graph) | {"key": key}
        self._save()
        self.done.append(f"{name}.engine")

    def _build(self, graph: "Graph") -> dict[str, Any]:
        """The engine's entry in the manifest, once it lies in its place."""
        from .tensorrt import BuildRequest, build, profile_of

        options, folder = self.options, make_folder(self.out / "engines")
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
            **self._execute(graph, path),
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


def gpu_of(backend: str) -> str | None:
    """The GPU that TensorRT builds for; None for TensorRT-RTX, whose engines are for several."""
    import torch

    return torch.cuda.get_device_name() if backend == "tensorrt" else None


def sizes_of(graph: "Graph") -> dict[str, list[int]]:
    """{name: [smallest, typical, largest]}."""
    return {name: list(asdict(limits).values()) for name, limits in graph.sizes.items()}


def with_batch(graph: "Graph", largest: int | None) -> "Graph":
    """The graph with batches up to `largest`, where it has any and one is given."""
    sizes = {name: type(graph.sizes[name])(*limits)
             for name, limits in limited(sizes_of(graph), largest).items()}  # fmt: skip
    return replace(graph, sizes=sizes)
