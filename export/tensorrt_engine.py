"""Running TensorRT engines on the GPU, the way every other engine runs graphs."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from dln.core.errors import DlnError, MissingCapability
from dln.core.models.graph import Value, flatten

from .builder import TITLES, Backend, install_hint

# Names of trt.DataType.
DTYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "FP8": torch.float8_e4m3fn,
    "INT8": torch.int8,
    "UINT8": torch.uint8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "BOOL": torch.bool,
}
ALIGNMENT = 256  # bytes, of every address that TensorRT is given
# A replay reads copies of its inputs; beyond this they cost more than the launches it saves.
MOST_COPIED = 64 << 20


class TensorRTEngine:
    """Runs engine files, one a graph, with inputs and outputs as torch tensors on the GPU. graphs:
    the folder of an export that was given to run, for receipts."""

    graphs: str | None = None

    def __init__(
        self,
        engines: Mapping[str, Path],
        backend: Backend,
        device: str = "cuda",
        name: str = "trt",
    ) -> None:
        """engines: {graph: file}; name: as receipts give it. Raises MissingCapability without a
        GPU, without the backend, or where an engine is for another version or another GPU."""
        if not torch.cuda.is_available():
            raise MissingCapability(
                "TensorRT engines run on an NVIDIA GPU, and there is none here",
                hint="dln generate --engine onnx",
            )
        trt = _library(backend)
        self.name, self.device = name, torch.device(device)
        with torch.cuda.device(self.device):
            self._stream = torch.cuda.Stream(self.device)
            runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
            self._graphs = {
                graph: LoadedGraph(trt, graph, _load(runtime, path, backend), self.device)
                for graph, path in engines.items()
            }
        self._runtime = runtime  # engines must not outlive it

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Run one graph; inputs move to the GPU and to the types that the engine wants.

        The outputs are new tensors, ready for the caller's stream. Raises DlnError for inputs that
        the graph does not have or shapes outside its ranges.
        """
        found = self._graphs[graph]
        # no_grad, not inference_mode: who owns the outputs may also write into them.
        with torch.no_grad(), torch.cuda.device(self.device):
            return found.run(flatten(inputs), self._stream)


def _library(backend: Backend) -> ModuleType:
    try:
        return import_module(backend)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingCapability(
            f"cannot import {TITLES[backend]}: {error}", hint=install_hint(backend)
        ) from error


def _load(runtime: Any, path: Path, backend: Backend) -> Any:
    if not os.path.isfile(path):
        raise MissingCapability(f"there is no engine {path}", hint="dln export --trt")
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise MissingCapability(
            f"{TITLES[backend]} cannot load {path} here: it was built for another GPU or another "
            "version, or the driver is too old",
            hint="build it here with dln export --trt",
        )
    return engine


class LoadedGraph:
    """One engine with its context; launched by hand, or replayed as a CUDA graph.

    Inputs and outputs are allocated on the caller's stream, which waits for the engine's: so the
    allocator reuses their memory in the right order.
    """

    def __init__(self, trt: ModuleType, name: str, engine: Any, device: torch.device) -> None:
        self.name, self.device, self._engine = name, device, engine
        self._context = _context(trt, engine)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        types = {name: DTYPES[engine.get_tensor_dtype(name).name] for name in names}
        inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.inputs = {name: types[name] for name in inputs}
        self.outputs = {name: types[name] for name in names if name not in inputs}
        # TensorRT-RTX captures by itself, once it has compiled the kernels of a shape.
        self._capturable = not hasattr(trt, "CudaGraphStrategy")
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._replay: Replay | None = None
        self._spare = torch.empty(ALIGNMENT, dtype=torch.uint8, device=device)

    def run(self, given: Mapping[str, Tensor], stream: Any) -> dict[str, Tensor]:
        """Tensors by name -> new tensors by name."""
        bound = self._prepare(given)
        shapes = {name: tuple(tensor.shape) for name, tensor in bound.items()}
        again, self._shapes = shapes == self._shapes, shapes
        if not again:
            self._replay = None
        elif self._replay is None and self._worth_capturing(bound):
            self._replay = self._capture(bound, stream)
        if self._replay:
            return self._replay.run(bound, stream)
        return self._launch(bound, stream)

    def _prepare(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if given.keys() != self.inputs.keys():
            odd = ", ".join(sorted(given.keys() ^ self.inputs.keys()))
            raise DlnError(
                f"the engine of {self.name} has other inputs than the model: {odd}",
                hint="dln export --trt --force",
            )
        return {n: self._place(given[n], dtype) for n, dtype in self.inputs.items()}

    def _place(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """The tensor on the device, of this type, contiguous and aligned."""
        found = tensor.to(self.device, dtype).contiguous()
        return found.clone() if found.data_ptr() % ALIGNMENT else found

    def _bind(self, bound: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tell the context its inputs and outputs. Returns the outputs, not written yet."""
        for name, tensor in bound.items():
            if not self._context.set_input_shape(name, tuple(tensor.shape)):
                size = " x ".join(map(str, tensor.shape))
                raise DlnError(
                    f"the engine of {self.name} does not take {size} for {name}",
                    hint="build it for larger batches: dln export --trt --batch N",
                )
        made = {name: self._output(name, dtype) for name, dtype in self.outputs.items()}
        for name, tensor in {**bound, **made}.items():
            # An empty tensor has no address, and TensorRT takes none but a real one.
            address = tensor.data_ptr() or self._spare.data_ptr()
            self._context.set_tensor_address(name, address)
        return made

    def _output(self, name: str, dtype: torch.dtype) -> Tensor:
        shape = tuple(self._context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise DlnError(f"the size of {name} of {self.name} depends on the data")
        return torch.empty(shape, dtype=dtype, device=self.device)

    def _launch(self, bound: Mapping[str, Tensor], stream: Any) -> dict[str, Tensor]:
        made = self._bind(bound)
        current = torch.cuda.current_stream()
        stream.wait_stream(current)
        self._execute(stream)
        current.wait_stream(stream)
        return made

    def _execute(self, stream: Any) -> None:
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise DlnError(f"TensorRT failed to run {self.name}; the reason is printed above")

    def _worth_capturing(self, bound: Mapping[str, Tensor]) -> bool:
        return self._capturable and sum(t.nbytes for t in bound.values()) <= MOST_COPIED

    def _capture(self, bound: Mapping[str, Tensor], stream: Any) -> "Replay | None":
        """The launch as a CUDA graph on tensors of its own; None where it cannot be captured."""
        inputs = {name: tensor.clone() for name, tensor in bound.items()}
        outputs = self._launch(inputs, stream)  # capturing wants one launch of these shapes before
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):
                self._execute(stream)
        except (RuntimeError, DlnError):
            self._capturable = False
            return None
        return Replay(graph, inputs, outputs)


def _context(trt: ModuleType, engine: Any) -> Any:
    if not hasattr(trt, "CudaGraphStrategy"):
        return engine.create_execution_context()
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return engine.create_execution_context(config)


class Replay:
    """A captured launch: the same kernels on the same addresses."""

    def __init__(self, graph: Any, inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> None:
        self._graph, self._inputs, self._outputs = graph, inputs, outputs

    def run(self, bound: Mapping[str, Tensor], stream: Any) -> dict[str, Tensor]:
        """Tensors of the captured shapes -> copies of what the kernels wrote."""
        current = torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for name, tensor in bound.items():
                self._inputs[name].copy_(tensor)
            self._graph.replay()
        current.wait_stream(stream)
        return {name: tensor.clone() for name, tensor in self._outputs.items()}
