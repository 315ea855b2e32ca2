"""What TensorRT does not do although it has the operator: one rule for each restriction.

Measured with TensorRT-RTX 1.7.1 on graphs of one node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

TOP_K_LIMIT = 3840
HEAD_CHANNELS = (16, 256)


class Complaint(NamedTuple):
    """What is wrong with a node, and what to do about it."""

    severity: Literal["error", "warning"]
    message: str
    hint: str


@dataclass(frozen=True)
class Site:
    """A node and what is known where it stands: tensor types and constants by name.

    node: an onnx NodeProto; types: onnx TypeProto.Tensor; constants: onnx TensorProto, whose data
    may lie in a file of `folder`.
    """

    node: Any
    types: Mapping[str, Any]
    constants: Mapping[str, Any]
    folder: Path

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value; `default` too where a function's caller gives it."""
        from onnx.helper import get_attribute_value

        for attribute in self.node.attribute:
            if attribute.name == name and not attribute.ref_attr_name:
                return get_attribute_value(attribute)
        return default

    def given(self, index: int) -> bool:
        """Whether the node has an input at this place."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def dtype(self, index: int) -> str | None:
        """ "FLOAT16" for the input at this place, None where it is not known."""
        from onnx import TensorProto

        known = self.types.get(self.node.input[index]) if self.given(index) else None
        return TensorProto.DataType.Name(known.elem_type) if known is not None else None

    def shape(self, index: int) -> list[int | None] | None:
        """The input's shape with None for sizes that vary, or None where it is not known."""
        known = self.types.get(self.node.input[index]) if self.given(index) else None
        if known is None or not known.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else None for d in known.shape.dim]

    def constant(self, index: int) -> Any:
        """The input's value as a numpy array, or None where it is not a constant at hand."""
        from onnx.checker import ValidationError
        from onnx.numpy_helper import to_array

        known = self.constants.get(self.node.input[index]) if self.given(index) else None
        try:
            return None if known is None else to_array(known, str(self.folder))
        except (OSError, ValidationError):  # its file is not there
            return None


Rule = Callable[[Site], Complaint | None]


def _attention_type(site: Site) -> Complaint | None:
    if site.dtype(0) not in ("FLOAT", "DOUBLE"):
        return None
    return Complaint(
        "error",
        "the fused kernels of Attention are for float16 and bfloat16",
        "export with opset 20, where attention is MatMul and Softmax, or with --precision fp16",
    )


def _attention_heads(site: Site) -> Complaint | None:
    channels = _head_channels(site)
    if channels is None or HEAD_CHANNELS[0] <= channels <= HEAD_CHANNELS[1]:
        return None
    smallest, largest = HEAD_CHANNELS
    return Complaint(
        "error",
        f"no kernel of Attention takes heads of {channels} channels, only {smallest} to {largest}",
        "export with opset 20, where attention is MatMul and Softmax",
    )


def _head_channels(site: Site) -> int | None:
    """Queries are (B, heads, Q, channels) or (B, Q, heads * channels)."""
    shape, heads = site.shape(0), site.attribute("q_num_heads")
    if not shape or shape[-1] is None:
        return None
    if len(shape) == 4:
        return shape[-1]
    return shape[-1] // heads if heads else None


def _attention_past(site: Site) -> Complaint | None:
    if not (site.given(4) or site.given(5) or len(site.node.output) > 1):
        return None
    return Complaint(
        "error",
        "Attention takes no past keys and values, and returns none",
        "join them with Concat before the node, or export with opset 20",
    )


def _random(site: Site) -> Complaint:
    return Complaint(
        "warning",
        f"{site.node.op_type} draws its own numbers: TensorRT ignores the seed",
        "draw the noise on the host and pass it in as an input",
    )


def _top_k(site: Site) -> Complaint | None:
    k = site.constant(1)
    if k is None or k.max() <= TOP_K_LIMIT:
        return None
    return Complaint(
        "error",
        f"TopK returns at most {TOP_K_LIMIT} values, not {k.max()}",
        "ask for fewer, or sort on the host",
    )


def _antialias(site: Site) -> Complaint | None:
    if not site.attribute("antialias", 0):
        return None
    return Complaint(
        "error", "Resize does not antialias", "blur with a Conv first, or use AveragePool"
    )


def _reduction(site: Site) -> Complaint | None:
    mode = site.attribute("reduction", b"none").decode()
    if mode == "none":
        return None
    return Complaint(
        "error",
        f"{site.node.op_type} does not reduce (here: {mode})",
        "write each place once, or add with MatMul by a one-hot matrix",
    )


def _zero_point(site: Site) -> Complaint | None:
    zero = site.constant(2)
    if zero is None or not zero.astype("float32").any():
        return None
    return Complaint("error", "the zero point must be 0", "quantise symmetrically")


def _scan_output(site: Site) -> Complaint | None:
    body = site.attribute("body")
    if body is None or site.constant(0) is not None:
        return None
    carried = len(body.input) - 2
    if len(site.node.output) <= carried:
        return None
    return Complaint(
        "warning",
        "the length of what Loop stacks is known only while it runs",
        "give it a constant trip count, or carry the values in a tensor of fixed size",
    )


def _half(site: Site) -> Complaint | None:
    if site.dtype(0) != "FLOAT16":
        return None
    return Complaint(
        "warning",
        f"{site.node.op_type} computes in float16, whose sums overflow at 65504",
        "keep it in float32 between two casts",
    )


_SUMS = (
    *("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"),
    *("MeanVarianceNormalization", "LpNormalization", "Softmax", "LogSoftmax"),
    *("ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceProd"),
    *("ReduceLogSum", "ReduceLogSumExp"),
)
_DRAWS = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")

RULES: dict[str, tuple[Rule, ...]] = {
    "Attention": (_attention_type, _attention_heads, _attention_past),
    "TopK": (_top_k,),
    "Resize": (_antialias,),
    "ScatterND": (_reduction,),
    "ScatterElements": (_reduction,),
    "QuantizeLinear": (_zero_point,),
    "DequantizeLinear": (_zero_point,),
    "Loop": (_scan_output,),
    **dict.fromkeys(_DRAWS, (_random,)),
    **dict.fromkeys(_SUMS, (_half,)),
}
