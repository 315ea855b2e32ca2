"""The models by name: every folder beside this file that has an about.py.

Nothing here imports torch; a model is imported when it is used. DLN_MODELS may name further
places (separated as in PATH) that hold such folders: systems of your own. GUESTS are others'
models, which stay where they are: "diffusers:FOLDER" names one.
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from os.path import samefile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, closest
from ..installed import has_torch, without_torch
from . import __path__ as places
from .about import About
from .pipelines.guest import ABOUT as PIPELINE

if TYPE_CHECKING:
    from .sampler import Sampler
    from .system import System

PLACES = "DLN_MODELS"


def scan() -> dict[str, About]:
    """Every model that says what it is, by its name. UsageError for a place that holds none, two
    of one name, and one that cannot be loaded."""
    for place in filter(None, os.environ.get(PLACES, "").split(os.pathsep)):
        folder = Path(place).expanduser().resolve()
        if not any(folder.glob("*/about.py")):
            raise UsageError(f"{PLACES} names {place}, where no folder holds an about.py")
        if str(folder) not in places:
            places.append(str(folder))
    found: dict[str, About] = {}
    for folder in (
        path.parent for place in places for path in sorted(Path(place).glob("*/about.py"))
    ):
        about = replace(told_by(folder), module=folder.name)
        if about.name in found:
            raise UsageError(f"two models are named {about.name!r}: {folder} is the second")
        found[about.name] = about
    return found


def told_by(folder: Path) -> About:
    """The ABOUT in a model's folder. UsageError where it cannot be had."""
    try:
        module = import_module(f".{folder.name}.about", __package__)
        about = module.ABOUT
    except Exception as error:  # whatever somebody's file does
        raise UsageError(f"{folder / 'about.py'} cannot be loaded: {error!r}") from error
    if not samefile(module.__file__ or "", folder / "about.py"):
        raise UsageError(f"{folder} has the name of a folder of dln's own", "rename it")
    return about


MODELS = scan()
GUESTS = {PIPELINE.name: PIPELINE}


def find(name: str) -> About:
    """The model called `name`. Raises UsageError with the nearest names."""
    if name not in MODELS:
        raise UsageError(
            f"there is no model named {name!r}.{closest(name, MODELS)}", hint="dln models list"
        )
    return MODELS[name]


def known(name: str) -> About | None:
    """The model of a name that an export has: one of ours, or of a guest."""
    return MODELS.get(name) or GUESTS.get(name)


def load(about: About) -> System:
    """The model's system: its configuration, presets, network, trainings and sampling loop."""
    return import_module(f".{about.module}.system", __package__).SYSTEM


def sampling(about: About) -> System | Sampler:
    """What checks requests and samples: the system, or its sampler where there is no PyTorch.
    MissingCapability as of `sampler_of`."""
    return load(about) if has_torch() else sampler_of(about)


def sampler_of(about: About) -> Sampler:
    """What samples a model's exported graphs without PyTorch. MissingCapability for a model that
    does not."""
    name = f"{__package__}.{about.module}.sampler"
    if find_spec(name) is None:
        raise without_torch(f"sampling {about.name}")
    return import_module(name).SAMPLER
