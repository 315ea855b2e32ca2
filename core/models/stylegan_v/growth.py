"""Weights of small pictures as the beginning of larger ones.

Progressive growing (Karras et al. 2018, 1710.10196), as StyleGAN-XL (2202.00273) does it, without
fading in: what pictures are made of is learnt where a step is cheap, then the generator is given
blocks of larger sides, which add nothing to the picture yet, and the discriminator new first ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...errors import UsageError

if TYPE_CHECKING:
    from .model import Model


def inherited(model: Model, start: Model) -> dict[str, Tensor]:
    """Of the weights of `start`, whose pictures are the model's or smaller, what the model begins
    with, and its new colours, which are zero: its pictures are those of `start`, doubled.
    UsageError where those of `start` are larger."""
    ours, theirs = model.config.side, start.config.side
    if theirs > ours:
        raise UsageError(
            f"weights of {theirs} x {theirs} pixels do not begin ones of {ours} x {ours}",
            f"--set side={theirs}, or more",
        )
    known = start.state_dict()
    for side in (side for side in model.config.sides if side > theirs):
        layer = model.generator.synthesis.get_submodule(f"b{side}.torgb")
        for name, weight in layer.named_parameters():
            if name in ("weight", "bias"):
                known[f"generator.synthesis.b{side}.torgb.{name}"] = torch.zeros_like(weight)
    own = model.state_dict()
    # The old first block was given colours, now features.
    return {name: weight for name, weight in known.items() if name in own}
