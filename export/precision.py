"""Graphs in half precision and in int8."""

import copy
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dln.core.errors import DlnError
from dln.core.models.engine import TorchEngine
from dln.core.models.graph import Graph, Value

from .onnx import clean_file, dtypes_found, silence

HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}
FOUND_AS = {"fp32": "float", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
PRODUCTS = ("MatMul", "Gemm", "Conv")
# Sums of squares and small epsilons: half precision overflows in one and loses the other.
_UNSAFE = (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.BatchNorm2d)


class Island(nn.Module):
    """A layer that computes in float32 between halves."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape, in half precision -> same."""
        return self.layer(x.float()).to(x.dtype)


def half(graph: Graph, precision: str) -> Graph:
    """The graph in fp16 or bf16, its normalisations in float32, with example inputs to match."""
    dtype = HALF[precision]
    module = copy.deepcopy(graph.module).to(dtype)
    for parent in list(module.modules()):
        if not isinstance(parent, Island):
            for name, child in list(parent.named_children()):
                if isinstance(child, _UNSAFE):
                    setattr(parent, name, Island(child))
    made = graph.example
    return replace(graph, module=module, example=lambda **sizes: cast_inputs(made(**sizes), dtype))


class HalfEngine(TorchEngine):
    """Graphs in half precision in PyTorch, with inputs to match; exact ones as they are."""

    def __init__(self, graphs: Mapping[str, Graph], precision: str) -> None:
        super().__init__({n: g if g.exact else half(g, precision) for n, g in graphs.items()})
        self._exact = {name for name, graph in graphs.items() if graph.exact}
        self._dtype = HALF[precision]

    def run(self, graph: str, **inputs: Value) -> dict[str, Tensor]:
        """Run one graph, as every engine."""
        exact = graph in self._exact
        return super().run(graph, **inputs if exact else cast_inputs(inputs, self._dtype))


def cast_inputs(inputs: Mapping[str, Value], dtype: torch.dtype) -> dict[str, Value]:
    """Floating-point inputs as `dtype`; indices stay what they are."""

    def one(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return {
        name: one(value) if isinstance(value, Tensor) else [one(part) for part in value]
        for name, value in inputs.items()
    }


def quantize(path: Path, calls: Iterable[dict[str, Tensor]]) -> None:
    """Rewrite an fp32 file in int8: static, symmetric QDQ of every product with weights.

    Outputs are rounded too: it costs up to 5 dB, but without it ONNX Runtime multiplies floats.
    Weights take 7 bits of the 8: a CPU without VNNI adds pairs of products in 16 bits, and whole
    ones overflow there without a word.

    calls: inputs as the sampling loop gives them, from which the activations' ranges are taken.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    data = path.with_name(path.name + ".data")
    apart = data.exists()  # weights that no one file of ONNX may hold
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        ready, done = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        with silence():
            quant_pre_process(
                str(path), str(ready), skip_symbolic_shape=True, save_as_external_data=apart
            )
            quantize_static(
                str(ready),
                str(done),
                _Reader(calls),  # pyright: ignore[reportArgumentType]
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                op_types_to_quantize=list(PRODUCTS),
                nodes_to_exclude=without_weights(ready),
                calibrate_method=CalibrationMethod.MinMax,
                use_external_data_format=apart,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                },
            )
        data.unlink(missing_ok=True)
        clean_file(done, path)


class _Reader:
    """Calibration inputs as onnxruntime asks for them: one at a time, then None."""

    def __init__(self, calls: Iterable[dict[str, Tensor]]) -> None:
        self._calls = iter(calls)

    def get_next(self) -> dict[str, Any] | None:
        call = next(self._calls, None)
        return call and {name: tensor.contiguous().numpy() for name, tensor in call.items()}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Part of the reader's interface; all calls are read in one go."""


def without_weights(path: Path) -> list[str]:
    """Names of the products that stay in float32: those of two activations (queries with keys),
    and those whose weights the graph computes, as a modulated convolution does."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in PRODUCTS and not stored & set(_factors(node))
    ]


def _factors(node: Any) -> list[str]:
    """The inputs of a product that may be its weights: either factor of a matrix product (a
    stored bias makes it none), a convolution's second input alone."""
    return node.input[1:2] if node.op_type.startswith("Conv") else node.input[:2]


def require_precision(path: Path, asked: str) -> dict[str, int]:
    """How many weights of each type the file holds. DlnError where none is of the type asked."""
    found = dtypes_found(path)
    if not found.get(FOUND_AS[asked]):
        raise DlnError(f"{path.name} was asked for in {asked} and holds {', '.join(found)} only")
    return found
