"""What a program that knows nothing of dln needs beside the graphs: it lies in the manifest.

With these words, an ONNX runtime and numpy it makes the very clip that `dln generate` makes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.models.registry import load
from dln.core.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dln.core.models.package import Loaded

# How `Vocabulary` reads: in lower case, letters replaced, then what the pattern finds, if known.
SPLIT = {"replace": {"\u0451": "\u0435"}, "pattern": r"[^\W_]+(?:['-][^\W_]+)*"}
FRAMES = {"type": "uint8", "axes": ["frame", "row", "column", "channel"], "colours": "RGB"}


def describe(loaded: Loaded) -> dict[str, Any]:
    """The model as JSON: what it is, its configuration, its card, how it reads a prompt, the
    defaults of its settings, how frames lie in a clip, and the constants of its loop."""
    about, model = loaded.about, loaded.model
    return {
        "title": about.title,
        "task": about.task,
        "paper": about.paper,
        "takes": list(about.takes),
        "gives": about.gives,
        "config": dataclasses.asdict(model.config),
        "card": loaded.card,
        "text": text_of(model.reader),
        "settings": dataclasses.asdict(about.settings()),
        "frames": FRAMES if about.generates else None,
        "loop": load(about).constants(model),
    }


def text_of(reader: Any) -> dict[str, Any] | None:
    """How a prompt becomes numbers; None for a model without text."""
    if reader is None:
        return None
    if isinstance(reader, Vocabulary):
        return {"kind": "words", **SPLIT, "words": reader.words}
    told = {name: value for name, value in vars(reader).items() if isinstance(value, str | int)}
    return {"kind": type(reader).__name__.lower(), **told}


def signature(path: Path) -> dict[str, list[dict[str, Any]]]:
    """inputs and outputs of an ONNX file, each with its name, type and shape; a dimension that
    varies is a formula of the graph's sizes."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    return {
        "inputs": [_tensor(v) for v in graph.input],
        "outputs": [_tensor(v) for v in graph.output],
    }


def _tensor(value: Any) -> dict[str, Any]:
    import onnx

    kind = value.type.tensor_type
    return {
        "name": value.name,
        "type": onnx.TensorProto.DataType.Name(kind.elem_type).lower(),
        "shape": [d.dim_param or d.dim_value for d in kind.shape.dim],
    }
