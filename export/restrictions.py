"""What TensorRT does not do although it has the operator: one rule for each restriction.

Measured with TensorRT-RTX 1.7.1 on graphs of one node; tests/compare_readiness.py holds the rules
against its parser.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from .attention import ATTENTION
from .branches import equal_ranks
from .operators import ONNX, table, type_name
from .sites import Complaint, Origin, Rule, Site, refusal

TOP_K_LIMIT = 3840
ENDLESS = 2**31 - 1  # trips of a Loop from which on the parser counts none


def complaints(site: Site) -> list[Complaint]:
    """All that TensorRT has against a node whose operator it supports."""
    rules = (_old, _type, _wants, _bytes, *RULES.get(site.node.op_type, ()))
    return [found for rule in rules if (found := rule(site))]


_BROADCAST = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "And", "Or", "Xor"),
    *("Greater", "Less", "Equal", "LpNormalization"),
)


def _old(site: Site) -> Complaint | None:
    """Operators that broadcast by an attribute before opset 7."""
    opset = max((v for domain, v in site.scope.opsets if domain in ONNX), default=7)
    name, ranks = site.node.op_type, [len(site.shape(i) or []) for i in (0, 1)]
    broadcast = site.number("broadcast", 0) or (name == "PRelu" and ranks[0] != ranks[1])
    if opset >= 7 or not (broadcast or name in _BROADCAST):
        return None
    return refusal(f"{name} of opset {opset} is not read", "convert it to opset 7 or more")


def _type(site: Site) -> Complaint | None:
    """Types that the operator's first input must not have; of Where, its first value."""
    operator = site.node.op_type
    kind = site.dtype(1 if operator == "Where" else 0)
    if operator in ("Max", "Min") and len(site.node.input) < 2:  # which does nothing
        return None
    if operator not in table()["refuses"].get(kind, ()):
        return None
    return refusal(
        f"{operator} does not take {kind}", "put it between two Casts, to float32 and back"
    )


_BYTES = ("Cast", "CastLike", "Identity")


def _bytes(site: Site) -> Complaint | None:
    """uint8 is for inputs and outputs of the whole graph; between its nodes TensorRT has none."""
    operator = site.node.op_type
    to = site.attribute("to") if operator == "Cast" else None
    kind = type_name(to) if isinstance(to, int) else site.dtype(1 if operator == "CastLike" else 0)
    if operator not in _BYTES or kind != "UINT8" or set(site.outputs()) <= site.scope.outputs:
        return None
    return refusal("uint8 is no type between nodes", "compute in int32 or float32")


# What an input is wanted to be, the origins that will not do, and what to do about it.
_WANTS: dict[str, tuple[str, set[Origin], str]] = {
    "stored": (
        "be stored in the file",
        {"folded", "computed", "sizes", "made", "ints", "data", "floats"},
        "make it an initializer",
    ),
    "constant": (
        "be a constant",
        {"computed", "sizes", "made", "ints", "data", "floats"},
        "make it an initializer",
    ),
    "fixed": (
        "be known before the graph runs",
        {"sizes", "ints", "data", "floats"},
        "make it a constant",
    ),
    "whole": (
        "not be computed from values that are no integers",
        {"floats"},
        "make it a constant, or an input of whole numbers",
    ),
}
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
# {operator: {input: what it is wanted to be}}, with the names that ONNX gives the inputs.
_INPUTS: dict[str, dict[int, tuple[str, str]]] = {
    **{name: {1: ("axes", "constant")} for name in _REDUCTIONS},
    "Dropout": {2: ("training_mode", "stored")},
    "STFT": {1: ("frame_step", "stored"), 2: ("window", "stored"), 3: ("frame_length", "stored")},
    "Squeeze": {1: ("axes", "fixed")},
    "Unsqueeze": {1: ("axes", "fixed")},
    "Reshape": {1: ("shape", "whole")},
    "Expand": {1: ("shape", "whole")},
    "Tile": {1: ("repeats", "whole")},
    "ConstantOfShape": {0: ("input", "whole")},
    "Slice": {1: ("starts", "whole"), 2: ("ends", "whole"), 3: ("axes", "whole"),
              4: ("steps", "whole")},
    "Pad": {1: ("pads", "whole")},
    "TopK": {1: ("k", "whole")},
    "Resize": {2: ("scales", "whole"), 3: ("sizes", "whole")},
    "Upsample": {1: ("scales", "whole")},
    "Split": {1: ("split", "whole")},
    "CumSum": {1: ("axis", "whole")},
    "Range": {0: ("start", "whole"), 1: ("limit", "whole"), 2: ("delta", "whole")},
    "OneHot": {1: ("depth", "whole")},
    **{name: {0: ("size", "whole")} for name in ("HannWindow", "HammingWindow", "BlackmanWindow")},
}  # fmt: skip


def _wants(site: Site) -> Complaint | None:
    for index, (name, want) in _INPUTS.get(site.node.op_type, {}).items():
        words, wrong, hint = _WANTS[want]
        if site.origin(index) in wrong:
            return refusal(f"{site.node.op_type}'s {name} must {words}", hint)
    return None


def _integer(
    name: str, allowed: Sequence[int], default: int, hint: str, site: Site
) -> Complaint | None:
    """An attribute of which only some values are read."""
    value = site.number(name, default)
    if value in allowed:
        return None
    known = " or ".join(map(str, allowed))
    return refusal(f"{site.node.op_type}'s {name} must be {known}, not {value}", hint)


def _word(
    name: str, allowed: Sequence[str], default: str, hint: str, site: Site
) -> Complaint | None:
    """The same for one that is a text."""
    value = site.word(name, default)
    if value in allowed:
        return None
    known = " or ".join(allowed)
    return refusal(f"{site.node.op_type}'s {name} must be {known}, not {value}", hint)


def _one_output(hint: str, site: Site) -> Complaint | None:
    if len(site.outputs()) < 2:
        return None
    return refusal(f"{site.node.op_type} returns one tensor only", hint)


def _dilations(site: Site) -> Complaint | None:
    if set(site.numbers("dilations")) <= {1}:
        return None
    return refusal(f"{site.node.op_type} does not dilate", "pool without dilations, or use Conv")


def _training(site: Site) -> Complaint | None:
    """Dropout with a constant that asks for training."""
    mode = site.constant(2)
    if mode is None or not mode.any():
        return None
    return refusal("Dropout does not train", _EVALUATE)


def _row_by_stack(site: Site) -> Complaint | None:
    """A vector times a stack of matrices: the parser drops the wrong dimension of the product."""
    left, right = site.shape(0), site.shape(1)
    if left is None or right is None or len(left) != 1 or len(right) < 3 or right[0] in (1, None):
        return None
    return refusal(
        "MatMul takes no vector before a stack of matrices",
        "Unsqueeze the vector to a row before, and Squeeze the product",
    )


def _same_type(site: Site) -> Complaint | None:
    kinds = {kind for kind in (site.dtype(0), site.dtype(1)) if kind}
    if len(kinds) < 2:
        return None
    return refusal(f"{site.node.op_type} mixes {' and '.join(sorted(kinds))}", "Cast one of them")


def _modulo(site: Site) -> Complaint | None:
    kind = site.dtype(0)
    if kind in (None, "INT32", "INT64") or site.number("fmod", 0):
        return None
    return refusal(f"Mod takes {kind} only with fmod", "set fmod to 1")


_CAST = "cast to float32, int32 or int64"


def _cast(site: Site) -> Complaint | None:
    number = site.attribute("to")
    if not isinstance(number, int) or type_name(number) in table()["types"]:
        return None
    return refusal(f"TensorRT has no type {type_name(number) or number}", _CAST)


def _constant(site: Site) -> Complaint | None:
    odd = [a.name for a in site.node.attribute
           if a.name in ("sparse_value", "value_string", "value_strings")]  # fmt: skip
    return refusal(f"Constant does not hold a {odd[0]}", "store a dense tensor") if odd else None


def _drawn_type(site: Site) -> Complaint | None:
    number = site.attribute("dtype")
    kind = type_name(number) if isinstance(number, int) else None
    if kind not in ("DOUBLE", "BFLOAT16"):
        return None
    return refusal(f"{site.node.op_type} does not draw {kind}", "draw float32 and cast")


def _resize_axes(site: Site) -> Complaint | None:
    """Scales of some axes only."""
    axes, shape = site.numbers("axes"), site.shape(0)
    if not site.given(2) or not axes or (shape is not None and axes == list(range(len(shape)))):
        return None
    return refusal(
        "Resize takes scales of all axes only", "leave axes out and scale the others by 1"
    )


def _cache(site: Site) -> Complaint | None:
    shape = site.shape(0)
    if shape is None or len(shape) == 4:
        return None
    return refusal(f"TensorScatter takes 4 dimensions, not {len(shape)}", "Reshape around it")


def _loop_counter(site: Site) -> Complaint | None:
    """Where nothing limits the trips, the parser counts none, and knows no number of the round."""
    body = site.graph("body")
    if body is None or not body.input:
        return None
    trips = site.constant(0)
    endless = not site.given(0) or (trips is not None and trips.size and trips.max() >= ENDLESS)
    if not endless or body.input[0].name not in _used(body):
        return None
    return refusal(
        "the body of Loop uses the number of the round, which is not counted without a trip count",
        f"give it a trip count below {ENDLESS}, or carry a counter",
    )


def _used(graph: Any) -> set[str]:
    """The names that a graph's nodes take and that it returns."""
    inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    own = {name for node in graph.node for name in node.input}
    return own.union((value.name for value in graph.output), *map(_used, inner))


def _top_k(site: Site) -> Complaint | None:
    k = site.constant(1)
    if k is None or k.max() <= TOP_K_LIMIT:
        return None
    return refusal(
        f"TopK returns at most {TOP_K_LIMIT} values, not {k.max()}",
        "ask for fewer, or sort on the host",
    )


def _random(site: Site) -> Complaint:
    return Complaint(
        "warning",
        f"{site.node.op_type} draws its own numbers: TensorRT ignores the seed",
        "draw the noise on the host and pass it in as an input",
    )


def _zero_point(site: Site) -> Complaint | None:
    zero = site.constant(2)
    if zero is None or not zero.astype("float32").any():
        return None
    return refusal("the zero point must be 0", "quantise symmetrically")


def _scan_output(site: Site) -> Complaint | None:
    body = site.graph("body")
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


_NORMS = (
    *("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"),
    *("MeanVarianceNormalization", "LpNormalization", "Softmax", "LogSoftmax"),
)
_HALF_SUMS = (*_NORMS, *(name for name in _REDUCTIONS if name not in ("ReduceMax", "ReduceMin")))
_DRAWS = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
_EVALUATE = "export the model in evaluation mode"
_ONE_HOT = "write each place once, or add with MatMul by a one-hot matrix"
_GRID = ("align_corners", "tf_half_pixel_for_nn", "pytorch_half_pixel", "half_pixel", "asymmetric")
_UNREDUCED = partial(_word, "reduction", ("none",), "none", _ONE_HOT)

RULES: dict[str, tuple[Rule, ...]] = {
    "Attention": ATTENTION,
    "If": (equal_ranks,),
    "Loop": (_scan_output, _loop_counter),
    "Constant": (_constant,),
    "Cast": (_cast,),
    "GridSample": (_same_type,),
    "MatMul": (_row_by_stack,),
    "Mod": (_modulo,),
    "TopK": (_top_k,),
    "Resize": (
        partial(_integer, "antialias", (0,), 0, "blur with a Conv first, or use AveragePool"),
        partial(_word, "keep_aspect_ratio_policy", ("stretch",), "stretch", "give both sizes"),
        partial(_word, "coordinate_transformation_mode", _GRID, "half_pixel", "resize in another"),
        _resize_axes,
    ),
    "ScatterND": (_UNREDUCED,),
    "ScatterElements": (_UNREDUCED,),
    "TensorScatter": (partial(_word, "mode", ("linear",), "linear", "write in order"), _cache),
    "QuantizeLinear": (_zero_point,),
    "DequantizeLinear": (_zero_point,),
    "AveragePool": (_dilations,),
    "MaxPool": (_dilations, partial(_one_output, "find the places with ArgMax")),
    "LpPool": (_dilations, partial(_integer, "p", (1, 2), 2, "write it with Pow and AveragePool")),
    "BatchNormalization": (partial(_integer, "training_mode", (0,), 0, _EVALUATE),),
    "Dropout": (_training,),
    **dict.fromkeys(_DRAWS, (_random, _drawn_type)),
    **dict.fromkeys(_HALF_SUMS, (_half,)),
    "LayerNormalization": (_half, partial(_one_output, "compute the others with ReduceMean")),
}
