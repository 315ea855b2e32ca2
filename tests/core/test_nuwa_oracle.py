"""NUWA-Infinity's layers against another implementation's, patch after patch."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dln.core.models.nuwa_infinity.config import PRESETS
from dln.core.models.nuwa_infinity.directions import straight
from dln.core.models.nuwa_infinity.pool import Pool
from dln.core.models.nuwa_infinity.transformer import HIDDEN, Transformer

from .oracles import near, oracle

NAMES = {
    "self_attention_norm": "norm1", "self_attention_scale.scale": "scale1",
    "self_attention.relative_position_bias_table": "attention.offsets",
    "self_attention.to_out": "attention.out",
    "cross_attention_norm": "norm2", "cross_attention_scale.scale": "scale2",
    "cross_attention.q_linear": "cross.q", "cross_attention.to_out": "cross.out",
    "ff_norm": "norm3", "ff_scale.scale": "scale3", "ff.net.0": "feed.up", "ff.net.3": "feed.down",
}  # fmt: skip


def renamed(theirs: dict[str, Tensor], offsets: int) -> dict[str, Tensor]:
    """Their tensors by our names. Later frames are never seen: their offsets come last."""
    ours: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        _, layer, rest = name.split(".", 2)
        for old, new in NAMES.items():
            if rest.startswith(f"{old}.") or rest == old:
                ours[f"layers.{layer}.{new}{rest.removeprefix(old)}"] = tensor.squeeze()
    for layer in {name.split(".")[1] for name in theirs}:
        mark = f"layers.{layer}."
        joined = {"attention.qkv": ("self_attention", "qkv"), "cross.kv": ("cross_attention", "kv")}
        for ours_name, (kind, parts) in joined.items():
            names = [f"{mark}{kind}.{part}_linear.weight" for part in parts]
            if names[0] in theirs:
                ours[f"{mark}{ours_name}.weight"] = torch.cat([theirs[n] for n in names])
        ours[f"{mark}attention.offsets"] = ours[f"{mark}attention.offsets"][:offsets]
    return ours


def built(told: dict[str, Any], weights: dict[str, Tensor], text: int) -> Transformer:
    reach = told["extents"]
    config = replace(
        PRESETS["tiny"], patch=2, width=48, layers=3, heads=3, expansion=4, text_length=text,
        extent_frames=reach["t"], extent_rows=reach["h"], extent_columns=reach["w"],
    )  # fmt: skip
    model = Transformer(config, 0)
    state = renamed(weights, config.offsets)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert not [name for name in missing if name.startswith("layers")]
    return model


@pytest.mark.parametrize(("name", "text"), [("horizon_layers_3x3", 5), ("horizon_layers_2x2x2", 0)])
def test_patches_in_turn(name: str, text: int):
    told, weights, given = oracle(name)
    model, order = built(told, weights, text), straight("down-right", *told["grid"])
    patches, words = given["patches"], given.get("text")
    padding = torch.zeros(patches.shape[1], 0)
    if words is not None:
        padding = given["input.text_padding"].float() * HIDDEN
    pool: Pool[Tensor] = Pool(order, model.config.extents)
    for number, x in enumerate(patches):
        chosen = pool.select(number)
        assert chosen == [n for n in given["context"][number].tolist() if n >= 0]
        offsets = torch.tensor(pool.offsets(number), dtype=torch.long).expand(len(x), -1)
        kept = [pool.held[n] for n in chosen]
        context = torch.stack(kept, 2) if kept else x.new_zeros(3, len(x), 0, 4, 48)
        with torch.no_grad():
            out, state = model.through(x, context, offsets, words, padding)
        near(out, given["outputs"][number], 1e-5)
        near(state, given["caches"][number], 1e-5)
        pool.add(number, state)
        pool.remove(number)
        assert sorted(pool.held) == [n for n in given["pool"][number].tolist() if n >= 0]
