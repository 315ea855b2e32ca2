"""Safetensors and ONNX files, spoilt in their structure and in their bytes."""

import json

from hypothesis import strategies as st

from .nasty import WORDS, damaged, documents, json_files, spelt


@st.composite
def safetensors(draw: st.DrawFn, sound: bytes) -> bytes:
    """The header's entries, what dln says in it, its length, or any bytes."""
    kind = draw(st.integers(0, 5))
    if kind == 0 or len(sound) < 10:
        return draw(damaged(sound))
    size = int.from_bytes(sound[:8], "little")
    header, body = json.loads(sound[8 : 8 + size]), sound[8 + size :]
    told = header.get("__metadata__", {}).get("dln")
    if told and kind <= 3:
        header["__metadata__"]["dln"] = draw(json_files(json.loads(told))).decode(
            "utf-8", "replace"
        )
        text = spelt(header)
    elif kind == 4:
        text = spelt(draw(documents(header)))
    else:
        text = draw(damaged(spelt(header)))
    said = draw(st.sampled_from((len(text),) * 6 + (0, 1, 2**63, 2**64 - 1, len(text) - 1)))
    return said.to_bytes(8, "little") + text + body


OPERATORS = (
    "Gemm", "Conv", "Reshape", "If", "Loop", "Resize", "Cast", "Nothing", "", "MatMul", "RoiAlign",
    "STFT", "LayerNormalization", "ReduceSum", "Slice", "Constant", "BatchNormalization",
    "Dropout", "Scan",
)  # fmt: skip


@st.composite
def onnx_files(draw: st.DrawFn, sound: bytes) -> bytes:
    """Nodes, tensors and shapes of a graph changed one by one, or any bytes."""
    import onnx

    if draw(st.integers(0, 2)) == 0:
        return draw(damaged(sound, 6))
    model = onnx.load_from_string(sound)
    for _ in range(draw(st.integers(1, 4))):
        spoil(draw, model)
    return model.SerializeToString()


def spoil(draw: st.DrawFn, model) -> None:
    """One change that the format allows."""
    graph = model.graph
    node = draw(st.sampled_from(list(graph.node))) if graph.node else graph.node.add()
    words = draw(st.sampled_from([word for word in WORDS if len(word) < 1000]))
    number = draw(st.sampled_from((0, -1, 1, 2**31 - 1, 2**62, -(2**63), 23, 9999)))
    value = draw(st.sampled_from([*graph.input, *graph.output, *graph.value_info]))
    match draw(st.integers(0, 13)):
        case 0:
            node.op_type = draw(st.sampled_from(OPERATORS))
        case 1:
            node.domain = words
        case 2:
            node.name = words
        case 3 if node.input:
            node.input[draw(st.integers(0, len(node.input) - 1))] = words
        case 4 if node.output:
            node.output[0] = words
        case 5:
            del node.input[:]
        case 6 if node.attribute:
            draw(st.sampled_from(list(node.attribute))).i = number
        case 7:
            node.attribute.add(name=words, type=draw(st.integers(0, 14)))
        case 8:
            value.type.tensor_type.elem_type = draw(st.integers(0, 30))
        case 9:
            value.type.tensor_type.shape.dim.add(dim_value=number)
        case 10 if graph.initializer:
            tensor = draw(st.sampled_from(list(graph.initializer)))
            tensor.dims.append(number)
        case 11 if graph.initializer:
            tensor = draw(st.sampled_from(list(graph.initializer)))
            tensor.data_location = 1
            tensor.external_data.add(key="location", value=draw(st.sampled_from(
                ("../canary/x", "/dev/zero", "missing.bin", words))))  # fmt: skip
        case 12:
            model.opset_import[0].version = number
        case _:
            graph.node.add().CopyFrom(node)
