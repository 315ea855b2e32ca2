"""The published checkpoints' tensor names, mapped onto ours.

The authors train with SwissArmyTransformer, whose layer holds `input_layernorm` (before the
attention), `third_layernorm` (after it), `post_attention_layernorm` (before the MLP) and
`fourth_layernorm` (after it); the channel lives in two "mixins".
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

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
_POSITIONS = "mixins.extra_position_embedding.position_embeddings.weight"


def backbone_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict for `Backbone` out of a published CogVideo (or CogView2) checkpoint."""
    state = {}
    for name, tensor in published.items():
        if name in _TOP:
            state[_TOP[name]] = tensor
        elif match := re.fullmatch(r"transformer\.layers\.(\d+)\.(.+)\.(weight|bias)", name):
            number, part, kind = match.groups()
            state[f"layers.{number}.{_LAYER[part]}.{kind}"] = tensor
    if not state:
        raise ValueError("no tensor is named as in the published CogVideo checkpoints")
    return state


def channel_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict for `Channel` out of a published CogVideo checkpoint."""
    state, mix = {}, {}
    for name, tensor in published.items():
        if name == _POSITIONS:
            state["positions.weight"] = tensor
        elif match := re.fullmatch(r"mixins\.attention_plus\.attn_distribution\.(\d+)", name):
            mix[int(match[1])] = tensor
        elif match := re.fullmatch(
            r"mixins\.attention_plus\.(query_key_value|dense)\.(\d+)\.(weight|bias)", name
        ):
            part = "qkv" if match[1] == "query_key_value" else "dense"
            state[f"attention.{match[2]}.{part}.{match[3]}"] = tensor
    if not mix:
        raise ValueError("there is no second attention channel of CogVideo")

    state["mix"] = torch.stack([mix[number] for number in sorted(mix)])
    return state
