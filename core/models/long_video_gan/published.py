"""The authors' generators: a file with that of small frames, and one with that of large ones.

Tensors keep their names; only the filters, which follow from sizes, are left out. Discriminators
are not published, and as wide here as the authors' are beside their generators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UsageError
from ..layers.alias_free import OVERSAMPLED, passing, signals
from ..layers.kaiser import low_pass
from ..published.parts import Published, attributes, setting, tensors_of
from ..published.tensors import Tensor, as_torch
from ..published.tokens import Damaged
from . import conditions
from .config import CONTEXT, PRESETS, Config
from .filters import CUTOFF, TRANSITION, bank
from .low_generator import BRIGHTNESS
from .windows import CUTOFF as HALVING_CUTOFF
from .windows import KERNEL, PADDING, SAMPLING, SCALE, TAPS
from .windows import TRANSITION as HALVING_TRANSITION

_SMALL, _LARGE = "temporal_layers.0.weight_0", "SG3.mapping.w_avg"  # that no other system has
_CONSTANTS = ("filter", "filters", "output_scale")
_PAPER = PRESETS["paper"]
# What this implementation does, where theirs had a choice: of the small frames' generator, and of
# the large ones'.
_CHOSEN: tuple[tuple[tuple[str, ...], str, Any], ...] = (
    ((), "temporal_ksize", KERNEL),
    ((), "spatial_ksize", 3),
    ((), "temporal_padding", PADDING),
    ((), "total_temporal_scale", SCALE),
    ((), "output_scale", BRIGHTNESS),
    (("temporal_emb",), "cutoff", CUTOFF),
    (("temporal_emb",), "width", TRANSITION),
    (("latent_mapping",), "num_layers", 2),
    ((), "temporal_context", CONTEXT),
    (("SG3",), "img_channels", 3),
    (("SG3", "synthesis"), "fourfeats", False),
    (("SG3", "synthesis"), "output_scale", BRIGHTNESS),
    (("SG3", "mapping"), "num_layers", 2),
    (("SG3", "mapping"), "c_dim", 0),
)


def published(held: tuple[Any, ...]) -> Published | None:
    """What the two files hold, in whichever order, None for others. Damaged where they cannot be
    used, UsageError for one of them alone."""
    tensors = [tensors_of(each) for each in held]
    kinds = ["small" if _SMALL in each else "large" if _LARGE in each else "" for each in tensors]
    if not any(kinds):
        return None
    if len(held) == 1:
        raise UsageError(
            f"long-video-gan comes in two files, and this is the generator of {kinds[0]} frames "
            "alone", "dln models import SMALL.pkl --with LARGE.pkl",
        )  # fmt: skip
    if sorted(kinds) != ["large", "small"]:
        raise Damaged("they are not the generators of small frames and of large ones")
    small, large = kinds.index("small"), kinds.index("large")
    config = config_of(held[small], held[large])
    found = {f"low_generator.{name}": tensor for name, tensor in tensors[small].items()}
    found |= {f"super_generator.{name}": tensor for name, tensor in tensors[large].items()}
    own = {name: tensor for name, tensor in found.items() if not name.endswith(_CONSTANTS)}
    _check_filters(config, {name: found[name] for name in found.keys() - own.keys()})
    return Published(config, own, drawn=("low_discriminator", "super_discriminator"))


def config_of(small: Any, large: Any) -> Config:
    """The sizes that two generators were made with. Damaged where they are not told, not possible,
    or not of frames of one size."""
    for network in (small, large):
        _check_choices(network)
    told = _told_of_small(small) | _told_of_large(large)
    for side in ("height", "width"):
        if told[f"low_{side}"] != (theirs := setting(attributes(large), f"lr_{side}")):
            raise Damaged(f"small frames have another {side} in one, {told[f'low_{side}']}, than "
                          f"in the other, {theirs}")  # fmt: skip
    if missing := [name for name, value in told.items() if value is None]:
        raise Damaged(f"they do not tell their {missing[0]}")
    try:
        config = Config(**told)
        return Config(**told, **_beside(config))
    except UsageError as error:
        raise Damaged(f"they were made with sizes that cannot be: {error.message}") from error


def _told_of_small(network: Any) -> dict[str, Any]:
    own, noise = attributes(network), _part(network, "temporal_emb")
    first = _part(network, "temporal_layers", "0")
    return {
        "low_height": setting(own, "out_height"),
        "low_width": setting(own, "out_width"),
        "noise_channels": setting(noise, "noise_channels"),
        "filters": setting(noise, "blur_widths"),
        "shortest_rate": setting(noise, "min_sampling_rate"),
        "longest_rate": setting(noise, "max_sampling_rate"),
        "low_channels": setting(first, "in_channels"),
        "clamp": setting(first, "activation_clamp"),
    }


def _told_of_large(network: Any) -> dict[str, Any]:
    own, styled = attributes(network), _part(network, "SG3")
    synthesis = _part(network, "SG3", "synthesis")
    given = setting(synthesis, "_init_kwargs")
    return {
        "height": setting(own, "hr_height"),
        "width": setting(own, "hr_width"),
        "latent": setting(styled, "z_dim"),
        "layers": setting(synthesis, "num_layers"),
        "margin": setting(synthesis, "margin_size"),
        "channel_base": setting(given, "channel_base") or _PAPER.channel_base,
        "channel_max": setting(given, "channel_max") or _PAPER.channel_max,
    }


def _beside(config: Config) -> dict[str, int]:
    """Channels of discriminators that go with the generators, as in the published sizes."""
    return {
        "low_judge_channels": max(1, config.low_channels // 16),
        "judge_base": max(1, config.channel_base // 2),
        "judge_max": config.channel_max,
    }


def _part(network: Any, *path: str) -> Any:
    """The attributes of a network within a network."""
    for name in path:
        modules = attributes(network).get("_modules")
        network = modules.get(name) if isinstance(modules, dict) else None
    return attributes(network)


def _check_choices(network: Any) -> None:
    for path, name, ours in _CHOSEN:
        theirs = setting(_part(network, *path), name)
        if theirs not in (ours, None):
            raise Damaged(f"their {'.'.join((*path, name))} is not {ours!r}, the only one known")


def _check_filters(config: Config, filters: dict[str, Tensor]) -> None:
    """That they are those by which the networks here work."""
    ours = _small_filters(config) | _large_filters(config)
    for name, theirs in filters.items():
        wanted, found = ours.get(name), as_torch(theirs).double().numpy()
        if (
            wanted is None
            or wanted.shape != found.shape
            or not np.allclose(found, wanted, 1e-4, 1e-6)
        ):
            raise Damaged(f"their {name.split('.', 1)[1]} is another than the only one known")


def _small_filters(config: Config) -> dict[str, np.ndarray]:
    before = "low_generator."
    filters = bank(config.filters, config.shortest_rate, config.longest_rate)[:, None]
    sums = filters.sum(2, keepdims=True)  # theirs add up to 1 and are scaled to norm one afterwards
    found = {f"{before}temporal_emb.blur_filters": filters / sums,
             f"{before}temporal_emb.output_scale": sums.swapaxes(0, 1)}  # fmt: skip
    halving = low_pass(TAPS, HALVING_CUTOFF, HALVING_TRANSITION, SAMPLING)
    found[f"{before}temporal_downsample_latent.filter"] = halving
    for kind in ("temporal", "spatial"):
        for number in range(len(config.low_blocks)):
            for way in ("temporal", "spatial"):
                name = f"{before}{kind}_layers.{number}.{way}_upsample.filter"
                found[name] = np.array([1, 3, 3, 1]) / 8
    return found


def _large_filters(config: Config) -> dict[str, np.ndarray]:
    before, found = "super_generator.SG3.", {}
    sides, low = (config.height, config.width), max(config.low_height, config.low_width)
    made = signals(sides, config.layers, config.margin, config.channel_base, config.channel_max)
    for number, after in enumerate(made):
        given = made[max(number - 1, 0)]
        fine = OVERSAMPLED * max(given.rate, after.rate)
        height, width = after.size
        layer = f"{before}synthesis.L{number}_{width}_{height}_{after.channels}"
        found |= {f"{layer}.up_filter": passing(given, fine),
                  f"{layer}.down_filter": passing(after, fine)}  # fmt: skip
        times = max(given.rate // low, low // given.rate)
        found[f"{before}resamples.{number}.filter"] = conditions.passing(times)
    return found
