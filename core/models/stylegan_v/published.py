"""The authors' snapshots: a training's dictionary, whose `G_ema` is the generator's average.

Tensors keep their names; only the filters, which are constants here, are left out. The sizes are
those that the networks were made with.
"""

from __future__ import annotations

from typing import Any

import torch

from ...errors import UsageError, short
from ...text.shown import visible
from ..layers.resample import kernel
from ..published.parts import Published, attributes, setting, tensors_of
from ..published.tensors import Tensor, as_torch
from ..published.tokens import Damaged
from .config import Config

_MARK = "synthesis.motion_encoder.time_encoder.freqs"  # that no other system has
_FILTER = "resample_filter"
UNCLAMPED = float(1 << 20)  # the largest that a configuration takes; activations are far below
# What this implementation does, where theirs had a choice.
_CHOSEN: tuple[tuple[str, ...], ...] = (
    ("motion", "gen_strategy", "conv"),
    ("time_enc", "cond_type", "concat_const"),
    ("input", "type", "temporal"),
)


def published(held: Any) -> Published | None:
    """What a snapshot holds, None for anything else. Damaged for one that cannot be used."""
    if not isinstance(held, dict):
        return None
    generator = tensors_of(held.get("G_ema"))
    if _MARK not in generator:
        return None
    discriminator = tensors_of(held.get("D"))
    _check_choices(attributes(held["G_ema"]))
    named = {f"generator.{name}": tensor for name, tensor in generator.items()}
    named |= {f"discriminator.{name}": tensor for name, tensor in discriminator.items()}
    tensors = {name: tensor for name, tensor in named.items() if not name.endswith(_FILTER)}
    _check_filters([tensor for name, tensor in named.items() if name not in tensors])
    config = config_of(held, discriminator)
    return Published(config, tensors, _told(held), () if discriminator else ("discriminator",))


def config_of(held: dict[Any, Any], discriminator: dict[str, Tensor]) -> Config:
    """The sizes that the networks of a snapshot were made with. Damaged where they are not told or
    not possible."""
    made = setting(attributes(held["G_ema"]), "_init_kwargs")
    cfg, synthesis = setting(made, "cfg"), setting(made, "synthesis_kwargs")
    clamp = setting(synthesis, "conv_clamp")
    told = {
        "side": setting(made, "img_resolution"),
        "latent": setting(made, "w_dim"),
        "channel_base": setting(synthesis, "channel_base"),
        "channel_max": setting(synthesis, "channel_max"),
        "mapping_layers": setting(made, "mapping_kwargs", "num_layers"),
        "judge_layers": _layers(discriminator) or Config.judge_layers,
        "waves": setting(cfg, "time_enc", "dim"),
        "anchor_distance": setting(cfg, "motion", "motion_z_distance"),
        "longest_period": setting(cfg, "time_enc", "max_period_len"),
        "clamp": UNCLAMPED if clamp is None else clamp,
        "longest_span": setting(cfg, "sampling", "max_dist"),
        "fps": setting(cfg, "sampling", "fps"),
    }
    if missing := [name for name, value in told.items() if value is None]:
        raise Damaged(f"it does not tell its {missing[0]}")
    try:
        return Config(**told, classes=_classes(setting(made, "c_dim")))
    except UsageError as error:
        raise Damaged(f"it was made with sizes that cannot be: {error.message}") from error


def _layers(discriminator: dict[str, Tensor]) -> int:
    """Of its mapping."""
    return sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in discriminator)


def _classes(count: Any) -> tuple[str, ...]:
    """Their classes have no names, only numbers from 0 on."""
    return tuple(map(str, range(count))) if isinstance(count, int) and count < 100_000 else ()


def _check_choices(told: Any) -> None:
    for group, name, ours in _CHOSEN:
        theirs = setting(told, "cfg", group, name)
        if theirs not in (ours, None):
            raise Damaged(f"its {group}.{name} is not {ours!r}, the only one known here")


def _check_filters(filters: list[Tensor]) -> None:
    """That they are the one which the networks blur with here."""
    ours = kernel(1, torch.empty(0))[0, 0]
    for theirs in filters:
        if theirs.shape != ours.shape or not torch.allclose(as_torch(theirs).float(), ours):
            raise Damaged("its filters are not [1, 3, 3, 1], the only ones known here")


def _told(held: dict[Any, Any]) -> dict[str, Any]:
    """How far the training was, and on what."""
    images = setting(held.get("stats"), "cur_nimg")
    data = setting(held.get("training_set_kwargs"), "cfg", "name")
    told: dict[str, Any] = {"data": visible(short(data))} if isinstance(data, str) else {}
    if type(images) is int and 0 <= images < 1 << 53:
        told["images"] = images
    return told
