"""A model built by name: its preset, what the data decide, and what was asked to be changed."""

import dataclasses
from typing import Any

from ..errors import UsageError, closest


def resolve_config(module: Any, preset: str, overrides: dict[str, Any]) -> Any:
    """The preset with its overrides, as the model's own Config. UsageError names the field."""
    if preset not in module.PRESETS:
        near = closest(preset, module.PRESETS)
        raise UsageError(f"no preset '{preset}'.{near}", hint=f"one of {', '.join(module.PRESETS)}")
    try:
        return override(module.PRESETS[preset], overrides)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


def override(config: Any, values: dict[str, Any]) -> Any:
    """A dataclass with some fields replaced; a dict goes into a nested dataclass."""
    names = [f.name for f in dataclasses.fields(config)]
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"the configuration has no field '{name}'.{closest(name, names)}")
        before = getattr(config, name)
        if dataclasses.is_dataclass(before) and isinstance(value, dict):
            value = override(before, value)
        changes[name] = tuple(value) if isinstance(before, tuple) else value
    return dataclasses.replace(config, **changes)
