"""The authors' checkpoints: CogLM, direct and iterative super-resolution, a file each.

They train with SwissArmyTransformer, whose layer holds `input_layernorm` (before the attention),
`third_layernorm` (after it), `post_attention_layernorm` (before the MLP) and `fourth_layernorm`
(after it); what super-resolutions add lies in "mixins". A file of direct super-resolution holds its
frozen backbone too. Their tokenizer is part of icetk and in none of these files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any, TypeVar

from ...errors import UsageError
from ..layers.tokenizer_config import TokenizerConfig
from ..published.parts import Published
from ..published.tensors import Tensor
from ..published.tokens import Damaged
from .config import PRESETS, SCALE, Config, RefinerConfig

HEAD, CLUSTERS = 64, 500  # channels of a head, clusters of codes, as published
PAPER = PRESETS["paper"]
T = TypeVar("T")

_LAYER = {
    "input_layernorm": "norm1",
    "post_attention_layernorm": "norm2",
    "third_layernorm": "norm3",
    "fourth_layernorm": "norm4",
    "attention.query_key_value": "attention.qkv",
    "attention.dense": "attention.dense",
    "mlp.dense_h_to_4h": "up",
    "mlp.dense_4h_to_h": "down",
}
_TOP = {
    "transformer.word_embeddings.weight": "tokens.weight",
    "transformer.position_embeddings.weight": "positions.weight",
    "transformer.final_layernorm.weight": "norm.weight",
    "transformer.final_layernorm.bias": "norm.bias",
}
_PLUS = {"query_key_value": "qkv", "dense": "dense"}
_POSITIONS = "mixins.extra_position_embedding.position_embeddings.weight"
_IN_LAYER = re.compile(r"transformer\.layers\.(\d+)\.(.+)\.(weight|bias)")
_IN_MIXIN = re.compile(r"mixins\.attention_plus\.(query_key_value|dense)\.(\d+)\.(weight|bias)")
_OTHERS = "mixins.attention_plus.attn_distribution"  # CogVideo's mix of two attentions


def published(held: tuple[Any, ...]) -> Published | None:
    """What one file holds, or two: None for others. Damaged where they do not fit each other."""
    modules = [_module(each) for each in held]
    if not all(modules):
        return None
    found: dict[str, Tensor] = {}
    for module in modules:
        for name, tensor in renamed(module).items():
            if name in found and name.split(".")[0] != "image":
                raise Damaged("both are the same part of CogView2")
            found.setdefault(name, tensor)
    config = config_of(found)
    lacking = [part for part in ("image", "direct", "iterative") if not _has(found, part)]
    told = {"parts": [part for part in ("image", "direct", "iterative") if part not in lacking]}
    return Published(config, found, told, drawn=("tokenizer", *lacking))


def _module(held: Any) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; none of what is none of CogView2's."""
    module = held.get("module") if isinstance(held, dict) else None
    if not isinstance(module, dict) or not all(isinstance(name, str) for name in module):
        return {}
    own = {*_TOP, "transformer.layers.0.third_layernorm.weight"} <= module.keys()
    if not own or any(name.startswith(_OTHERS) for name in module):
        return {}
    return {name: value for name, value in module.items() if isinstance(value, Tensor)}


def renamed(module: Mapping[str, T]) -> dict[str, T]:
    """The tensors of one file under the names of the model here: those of CogLM or of direct
    super-resolution as image. and direct., those of iterative super-resolution as iterative. ones.
    """
    direct = any(_IN_MIXIN.fullmatch(name) for name in module)
    iterative = _POSITIONS in module and not direct
    base = "iterative.backbone" if iterative else "image"
    found = {}
    for name, value in module.items():
        if name in _TOP:
            found[f"{base}.{_TOP[name]}"] = value
        elif name == _POSITIONS:
            found[f"{'iterative' if iterative else 'direct'}.positions.weight"] = value
        elif match := _IN_MIXIN.fullmatch(name):
            found[f"direct.attention.{match[2]}.{_PLUS[match[1]]}.{match[3]}"] = value
        elif (match := _IN_LAYER.fullmatch(name)) and match[2] in _LAYER:
            found[f"{base}.layers.{match[1]}.{_LAYER[match[2]]}.{match[3]}"] = value
    return found


def config_of(found: Mapping[str, Any]) -> Config:
    """The sizes of tensors under their names here; what is not there is small, for it is drawn.
    Damaged where they cannot be."""
    base = "image" if _has(found, "image") else "iterative.backbone"
    rows, positions = (len_of(found, f"{base}.{name}.weight") for name in ("tokens", "positions"))
    fine = [len_of(found, f"{part}.positions.weight") for part in ("direct", "iterative")
            if _has(found, part)]  # fmt: skip
    # CogLM alone does not tell: the published size, or what its positions hold.
    most = isqrt(max(0, positions - positions // 2 - 1)) // 2 * 2
    grid = isqrt(max(fine)) // SCALE if fine else min(PAPER.grid, most)
    if any(each != (SCALE * grid) ** 2 for each in fine):
        raise Damaged("their positions are of no square picture three times as large")
    width, layers, heads = _sizes(found, "image")
    try:
        return Config(
            image_size=8 * grid,
            text_length=min(PAPER.text_length, positions // 2),
            width=width,
            layers=layers,
            heads=heads,
            image_position=positions // 2,
            positions=positions,
            vocabulary_rows=rows,
            direct_layers=None if _has(found, "direct") else 1,
            iterative=RefinerConfig(*_sizes(found, "iterative.backbone")),
            tokenizer=TokenizerConfig(codebook_size=PAPER.codes, clusters=CLUSTERS),
        )
    except UsageError as error:
        raise Damaged(f"they are of sizes that cannot be: {error.message}") from error


def _has(found: Mapping[str, Any], part: str) -> bool:
    return any(name.startswith(f"{part}.") for name in found)


def _sizes(found: Mapping[str, Any], base: str) -> tuple[int, int, int]:
    """Width, layers and heads of a transformer; of one that is not there, the least."""
    if not _has(found, base):
        return HEAD, 1, 1
    shape, start = found[f"{base}.norm.weight"].shape, f"{base}.layers."
    numbers = {name[len(start) :].split(".")[0] for name in found if name.startswith(start)}
    width = int(shape[0]) if len(shape) == 1 else 0
    return width, len(numbers), max(1, width // HEAD)


def len_of(found: Mapping[str, Any], name: str) -> int:
    """Rows of a table. Damaged where it is none."""
    shape = found[name].shape if name in found else ()
    if len(shape) != 2:
        raise Damaged(f"its {name} is no table")
    return int(shape[0])
