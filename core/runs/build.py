"""A model built by name: its preset, what the data decide, and what was asked to be changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from psutil import virtual_memory

from ..errors import UsageError, closest
from ..models.about import About
from ..models.fields import check
from ..models.registry import load

if TYPE_CHECKING:
    from ..data import Source
    from ..models.system import System, SystemModel

MOST_TENSORS = 1 << 20
FLOAT_BYTES = 4


def build(
    about: About, preset: str | None, overrides: Mapping[str, Any], source: Source
) -> SystemModel:
    """The networks of a model, drawn from torch's random state, for the data of `source`.

    preset: the model's own where left out. UsageError for a preset or field that it does not have,
    and for sizes that this machine's memory cannot hold; on the meta device all can be.
    """
    from ..models.undrawn import TooLarge, at_most

    system = load(about)
    config = configured(system, preset, overrides, source)
    memory = virtual_memory().total
    try:
        with at_most(MOST_TENSORS, memory // FLOAT_BYTES):
            return system.Model(config, system.reader(config, source.words()))
    except TooLarge as error:
        raise UsageError(
            f"{about.name} of this size does not fit into the {memory / 2**30:.0f} GiB of this "
            "machine",
            hint=f"dln models show {about.name} --verbose counts each preset",
        ) from error


def configured(
    system: System, preset: str | None, overrides: Mapping[str, Any], source: Source
) -> Any:
    """The configuration: the preset, what is to be changed of it, what the data decide."""
    config = resolve_config(system, preset or system.about.default_preset, overrides)
    return override(config, system.fitted(config, source))


def resolve_config(system: System, preset: str, overrides: Mapping[str, Any]) -> Any:
    """The preset with its overrides, as the model's own Config. UsageError names the field."""
    if preset not in system.PRESETS:
        near = closest(preset, system.PRESETS)
        raise UsageError(f"no preset '{preset}'.{near}", hint=f"one of {', '.join(system.PRESETS)}")
    try:
        return override(system.PRESETS[preset], overrides)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """A dataclass with some fields replaced; a dict goes into a nested dataclass. UsageError for a
    field that it does not have, a value of another kind or outside its range."""
    names = [f.name for f in dataclasses.fields(config)]
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"the configuration has no field '{name}'.{closest(name, names)}")
        before = getattr(config, name)
        if dataclasses.is_dataclass(before) and isinstance(value, dict):
            value = override(before, value)
        listed = isinstance(before, tuple) and isinstance(value, list)
        changes[name] = tuple(value) if listed else value
    changed = dataclasses.replace(config, **changes)
    check(changed)
    return changed
