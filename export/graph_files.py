"""One graph of a model as an ONNX file, with its entry in the manifest and its proof."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import UsageError
from dln.core.files import sha256_file

from .description import signature
from .engines import OnnxEngine, onnx_engine
from .keys import limited
from .manifest import check_file, read_manifest
from .sampling import calibrated_on, check_calls_again, example_calls, record_calls

if TYPE_CHECKING:
    from dln.core.models.graph import Graph
    from dln.core.models.package import Loaded


@dataclass(frozen=True)
class GraphFiles:
    """How graphs of `loaded` become files. device: that ONNX Runtime proves them on."""

    loaded: "Loaded"
    precision: str
    device: str

    @property
    def opset(self) -> int:
        """Of the files."""
        return opset_of(self.precision)

    @property
    def executable(self) -> bool:
        """Whether ONNX Runtime runs them."""
        return self.precision != "bf16"

    def precision_of(self, graph: "Graph") -> str:
        """That its file computes in."""
        return "fp32" if graph.exact else self.precision

    def write(self, graph: "Graph", path: Path) -> dict[str, Any]:
        """Its entry in the manifest, unproven yet. DlnError where it cannot be exported."""
        from .onnx import write_onnx
        from .precision import HALF, half, quantize, require_precision

        precision = self.precision_of(graph)
        write_onnx(half(graph, precision) if precision in HALF else graph, path, self.opset)
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
            **signature(path),
            "weights": found,
            "calibrated_on": calibrated_on(self.loaded, graph.name in self._calls)
            if precision == "int8" else None,
            "parity": None,
        }  # fmt: skip

    def prove(self, graph: "Graph", path: Path) -> dict[str, Any]:
        """What the check found, at which sizes, and where the graph was executed for it.
        ParityError where it is not what the model computes."""
        return {"sizes": sizes_of(graph), **self._compared(graph, path)}

    def _compared(self, graph: "Graph", path: Path) -> dict[str, Any]:
        from .parity import check_calls, check_graph
        from .precision import HalfEngine

        precision = self.precision_of(graph)
        if precision == "bf16":
            found = check_graph(graph, HalfEngine({graph.name: graph}, precision), precision)
            return {"executed": "PyTorch; the file itself was not", **found.report()}
        engine = OnnxEngine({graph.name: path}, self.device)
        if precision == "int8" and graph.name in self._calls:
            # Its ranges are those of real activations: random inputs would only measure clipping.
            found = check_calls(graph, engine, precision, self._calls[graph.name])
        else:
            found = check_graph(graph, engine, precision)
        return {"executed": f"ONNX Runtime on {self.device}", **found.report()}

    @cached_property
    def _calls(self) -> dict[str, list[dict[str, Any]]]:
        """Calls of proof requests, recorded once."""
        return record_calls(self.loaded)


def opset_of(precision: str) -> int:
    """That graphs of a precision are written in."""
    from .onnx import BF16_OPSET, OPSET

    return BF16_OPSET if precision == "bf16" else OPSET


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
        return check_calls_again(loaded, engine, precision)
    for number, (name, graph) in enumerate(graphs.items()):
        ran = HalfEngine({name: graph}, precision) if precision == "bf16" else engine
        found[name] = check_graph(graph, ran, precision).report()
        report(number + 1, len(graphs), "graphs")
    return found


def sizes_of(graph: "Graph") -> dict[str, list[int]]:
    """{name: [smallest, typical, largest]}."""
    return {name: list(asdict(limits).values()) for name, limits in graph.sizes.items()}


def with_batch(graph: "Graph", largest: int | None) -> "Graph":
    """The graph with batches up to `largest`, where it has any and one is given."""
    sizes = {name: type(graph.sizes[name])(*limits)
             for name, limits in limited(sizes_of(graph), largest).items()}  # fmt: skip
    return replace(graph, sizes=sizes)
