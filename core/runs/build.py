"""A model built by name: its preset, what the data decide, and what was asked to be changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

import torch
from psutil import virtual_memory

from ..errors import UsageError, closest
from ..models.about import About
from ..models.fields import check, plain
from ..models.registry import load
from ..models.undrawn import at_most, undrawn

if TYPE_CHECKING:
    from ..data import Source
    from ..models.system import System, SystemModel

MOST_TENSORS = 20_000  # of a network; the largest that was published here has 1,240
FLOAT_BYTES = 4
MOST_NUMBERS = 1 << 42  # on the meta device, where they take no memory


def build(
    about: About, preset: str | None, overrides: Mapping[str, Any], source: Source
) -> SystemModel:
    """The networks of a model, drawn from torch's random state, for the data of `source`.

    preset: the model's own where left out. UsageError for a preset or field that it does not have,
    and for what `made` refuses.
    """
    system = load(about)
    config = configured(system, preset, overrides, source)
    return made(system, config, source.words())


def made(system: System, config: Any, words: Sequence[str]) -> SystemModel:
    """The networks of a configuration, for captions in these words. UsageError where they have
    more tensors than any that is trained, or more numbers than the memory holds."""
    reader = system.reader(config, words)
    room = virtual_memory().total // FLOAT_BYTES
    try:
        if torch.get_default_device().type != "meta":
            # Once without drawing: what does not fit would be drawn for minutes, and then fail.
            with torch.random.fork_rng(devices=[]), undrawn(), at_most(MOST_TENSORS, room):
                system.Model(config, reader)
        with at_most(MOST_TENSORS, MOST_NUMBERS):
            return system.Model(config, reader)
    except (RuntimeError, MemoryError) as error:
        reason = (str(error).splitlines() or ["no memory"])[0]
        raise UsageError(
            f"{system.about.name} of these sizes cannot be made here: {reason}",
            hint="smaller sizes with --preset or --set",
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
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UsageError(f"the configuration does not fit together: {error}") from error


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """A dataclass with some fields replaced; a dict goes into a nested dataclass, and one that may
    be left out is there for true and not for false. UsageError for a field that it does not have, a
    value of another kind or outside its range."""
    names, hints = [f.name for f in dataclasses.fields(config)], get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"the configuration has no field '{name}'.{closest(name, names)}")
        before: Any = getattr(config, name)
        kind = plain(hints[name])
        if kind is not hints[name] and dataclasses.is_dataclass(kind):
            before = before or plain(hints[name])()
            value = before if value is True else None if value is False else value
        if dataclasses.is_dataclass(before) and isinstance(value, dict):
            value = override(before, value)
        if isinstance(before, tuple) and isinstance(value, list):
            value = tuple(value)
        changes[name] = value
    changed = dataclasses.replace(config, **changes)
    check(changed)
    return changed
