"""Engines beside PyTorch that run a model's exported graphs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import DlnError, MissingCapability
from dln.core.installed import has_torch
from dln.core.threads import TOLD, Load, Threads, cores

from .axes import evaluate
from .manifest import check_file, read_manifest
from .runtime import require_onnxruntime

if TYPE_CHECKING:
    import onnxruntime
    import torch
    from torch import Tensor

    from dln.core.models.graph import Value

    from .tensorrt_engine import TensorRTEngine

OnNote = Callable[[str], None]


def pick_providers(device: str, available: list[str]) -> tuple[str, list[Any]]:
    """The torch device and the providers to ask for. device: auto, cpu, cuda or cuda:n.

    Asking for CUDA where there is none makes ONNX Runtime print and fall back, so on a machine
    without a GPU only the CPU is asked for.
    """
    from dln.core.models.engine import pick_device

    if device == "mps":
        raise MissingCapability("ONNX Runtime computes on cpu or cuda here", hint="--device cpu")
    wanted = pick_device(device)
    if wanted == "cpu":
        return wanted, ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in available:
        if device == "auto":
            return "cpu", ["CPUExecutionProvider"]
        raise MissingCapability(
            "this onnxruntime has no CUDA provider",
            hint="pip uninstall -y onnxruntime && pip install onnxruntime-gpu",
        )
    number = int(wanted.partition(":")[2] or 0)
    # Float32 means float32 here too: TF32 keeps 10 bits of the mantissa and is on by default.
    cuda = ("CUDAExecutionProvider", {"device_id": number, "use_tf32": 0})
    return f"cuda:{number}", [cuda, "CPUExecutionProvider"]


class OnnxEngine:
    """Runs exported graphs in ONNX Runtime, on the CPU or on CUDA.

    Tensors are handed over by address: an input that is the same tensor as in the run before is
    not bound again, and nothing is copied on the way in or out where type and device agree. A
    session keeps its number of threads: where another is to be taken, there is another one.
    graphs: the folder of an export that was given to run, for receipts.
    """

    graphs: str | None = None

    def __init__(
        self, files: Mapping[str, Path], device: str = "auto", precision: str = "fp32"
    ) -> None:
        """files: graph name -> ONNX file of this precision; each is loaded when it is first run.

        MissingCapability where the device asked for is not the one obtained, unless "auto".
        """
        self.name, self._threads = engine_name("onnx", precision), usual_threads()
        self._runtime = require_onnxruntime()
        self._files, self._asked = files, device
        available = self._runtime.get_available_providers()
        self.device, self._providers = pick_providers(device, available)
        self._graphs: dict[tuple[str, int], Any] = {}
        self._follows: Threads | None = None

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Inputs and outputs by name, as every engine."""
        from dln.core.models.graph import flatten

        return self._running(graph)(flatten(inputs))

    def _running(self, graph: str) -> Any:
        """A graph in a session of as many threads as are to be taken now."""
        if self._follows is not None:
            self._threads = self._follows.count()
        key = graph, self._threads
        if key not in self._graphs:
            self._graphs[key] = self._bound(self._session(graph), graph)
        return self._graphs[key]

    def _bound(self, session: onnxruntime.InferenceSession, graph: str) -> Any:
        return _Bound(session, graph, self.device)

    def providers(self) -> dict[str, list[str]]:
        """What the session of each graph that has been run computes on, as it says itself."""
        return {graph: bound.providers() for (graph, _), bound in self._graphs.items()}

    def take_threads(self, load: Load | None = None, on_note: OnNote = lambda text: None) -> None:
        """Leave the cores to ONNX Runtime: what a sampling loop computes between two runs is
        small, and threads of PyTorch beside those of a session slow both down. load: what else
        this machine does, where as many are to be taken as it leaves free."""
        if load is not None:
            self._follows = Threads(self._threads, load, on_note)
        if not has_torch():
            return
        import torch

        _before.append(self._threads)
        torch.set_num_threads(1)

    def session(self, graph: str) -> onnxruntime.InferenceSession:
        """A new session for one graph, on the providers that this engine asks for."""
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self._threads
        # Threads that spin for work wait the longer the more of the cores are taken.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return self._runtime.InferenceSession(
                str(self._files[graph]), options, providers=self._providers
            )
        except KeyError:
            raise DlnError(f"the export holds no graph '{graph}'") from None
        except Exception as error:
            raise DlnError(
                f"ONNX Runtime cannot load {self._files[graph]}: {_first_line(error)}",
                hint="dln export --force writes it again",
            ) from error

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        session = self.session(graph)
        got = session.get_providers()[0]
        first = self._providers[0]
        asked = first if isinstance(first, str) else first[0]
        if got == asked:
            return session
        if self._asked != "auto":
            raise MissingCapability(
                f"{asked} was asked for and {got} obtained: its libraries do not load here",
                hint="dln doctor says why; --device cpu always works",
            )
        self.device, self._providers = "cpu", ["CPUExecutionProvider"]
        return self._session(graph)


_before: list[int] = []  # threads that PyTorch had when it was left one


def usual_threads() -> int:
    """PyTorch's, also where an engine before has left it one; without it, what the user said, or
    all cores."""
    if not has_torch():
        said = [os.environ.get(name, "").partition(",")[0] for name in TOLD]
        return next((int(word) for word in said if word.isdecimal() and int(word)), cores())
    import torch

    count = torch.get_num_threads()
    return _before[0] if _before and count == 1 else count


def engine_name(engine: str, precision: str) -> str:
    """As receipts give it: "onnx", "onnx-int8"."""
    return engine if precision == "fp32" else f"{engine}-{precision}"


def onnx_engine(
    folder: Path, device: str = "auto", kind: type[OnnxEngine] = OnnxEngine
) -> OnnxEngine:
    """The ONNX files of an export, after a look at their hashes. DlnError where one differs."""
    manifest = read_manifest(folder)
    files = {name: check_file(folder, entry) for name, entry in manifest["graphs"].items()}
    return kind(files, device, manifest["precision"])


def trt_engine(folder: Path, device: str = "auto") -> TensorRTEngine:
    """The TensorRT engines of an export. MissingCapability without them or without a GPU."""
    from .tensorrt_engine import TensorRTEngine

    manifest = read_manifest(folder)
    entries = manifest["engines"]
    if not entries:
        raise MissingCapability(f"{folder} holds no TensorRT engines", hint="dln export --trt")
    paths = {name: check_file(folder, entry) for name, entry in entries.items()}
    backend = next(iter(entries.values()))["backend"]
    where, name = "cuda" if device == "auto" else device, engine_name("trt", manifest["precision"])
    return TensorRTEngine(paths, backend, where, name)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True)
class _Slot:
    """An input or output: its type and its shape, a name for each dimension that varies."""

    name: str
    dtype: torch.dtype
    element: int  # of onnx.TensorProto.DataType
    shape: list[int | str]


class _Bound:
    """A session whose inputs and outputs are bound to tensors."""

    def __init__(self, session: onnxruntime.InferenceSession, graph: str, device: str) -> None:
        import torch

        self._session, self._graph, self._device = session, graph, device
        self._kind, _, number = device.partition(":")
        self._number = int(number or 0)
        self._binding = session.io_binding()
        self._inputs = {i.name: _slot(i) for i in session.get_inputs()}
        self._outputs = [_slot(o) for o in session.get_outputs()]
        self._held: dict[str, Tensor] = {}
        self._sizes: dict[str, int] = {}  # of the named dimensions
        # Of inputs and outputs; None where it is known only after the run.
        self._shapes: dict[str, tuple[int, ...] | None] = {o.name: None for o in self._outputs}
        self._nothing = torch.zeros(1, device=device)  # an empty tensor has no address of its own

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        import torch

        if inputs.keys() != self._inputs.keys():
            unknown = ", ".join(sorted(inputs.keys() ^ self._inputs.keys()))
            raise DlnError(f"graph '{self._graph}' and its inputs differ: {unknown}")
        for name, tensor in inputs.items():
            if self._held.get(name) is not tensor:
                self._bind_input(self._inputs[name], tensor)
        outputs = [self._bind_output(slot) for slot in self._outputs]
        if self._kind == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(self._binding)
        return {
            slot.name: self._made(number) if tensor is None else tensor
            for number, (slot, tensor) in enumerate(zip(self._outputs, outputs, strict=True))
        }

    def providers(self) -> list[str]:
        return list(self._session.get_providers())

    def _bind_input(self, slot: _Slot, tensor: Tensor) -> None:
        tensor = tensor.to(self._device, slot.dtype).contiguous()
        self._held[slot.name] = tensor
        shape = tuple(tensor.shape)
        if shape != self._shapes.get(slot.name):
            self._shapes[slot.name] = shape
            self._size(slot.shape, shape)
        self._binding.bind_input(
            slot.name, self._kind, self._number, slot.element, shape, self._address(tensor)
        )

    def _size(self, rules: list[int | str], shape: tuple[int, ...]) -> None:
        """Learn from an input's shape how large named dimensions are, and the outputs with them."""
        self._sizes |= {r: n for r, n in zip(rules, shape, strict=True) if isinstance(r, str)}
        for slot in self._outputs:
            found = [self._extent(n) if isinstance(n, str) else n for n in slot.shape]
            self._shapes[slot.name] = None if None in found else tuple(found)  # pyright: ignore

    def _extent(self, formula: str) -> int | None:
        """A dimension of an output: one that an input has too, or a formula of such."""
        found = self._sizes.get(formula)
        return evaluate(formula, self._sizes) if found is None else found

    def _bind_output(self, slot: _Slot) -> Tensor | None:
        """Memory for an output; None where its size is known only after the run."""
        import torch

        shape = self._shapes[slot.name]
        if shape is None:
            self._binding.bind_output(slot.name, self._kind, self._number)
            return None
        tensor = torch.empty(shape, dtype=slot.dtype, device=self._device)
        self._binding.bind_output(
            slot.name, self._kind, self._number, slot.element, shape, self._address(tensor)
        )
        return tensor

    def _made(self, number: int) -> Tensor:
        """An output that ONNX Runtime has made room for; by way of the host."""
        import torch

        return torch.from_numpy(self._binding.get_outputs()[number].numpy()).to(self._device)

    def _address(self, tensor: Tensor) -> int:
        return (tensor if tensor.numel() else self._nothing).data_ptr()


def _slot(node: Any) -> _Slot:
    import torch

    types = {
        "tensor(float)": (torch.float32, 1),
        "tensor(uint8)": (torch.uint8, 2),
        "tensor(int32)": (torch.int32, 6),
        "tensor(int64)": (torch.int64, 7),
        "tensor(bool)": (torch.bool, 9),
        "tensor(float16)": (torch.float16, 10),
        "tensor(double)": (torch.float64, 11),
        "tensor(bfloat16)": (torch.bfloat16, 16),
    }
    return _Slot(node.name, *types[node.type], node.shape)
