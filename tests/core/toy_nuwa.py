"""A NUWA-Infinity of a few thousand weights and its stages, on the toy systems' colours."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

try:
    from .toy_systems import Colours
except ImportError:
    from toy_systems import Colours

from dln.core.data import Source
from dln.core.models.nuwa_infinity.config import Config
from dln.core.models.nuwa_infinity.model import Model
from dln.core.models.nuwa_infinity.system import SYSTEM
from dln.core.runs.build import made, override
from dln.core.training.events import silent
from dln.core.training.options import TrainOptions
from dln.core.training.stage import Stage


def toy(source: Source | None = None, **changed: Any) -> Model:
    """Its weights drawn from seed 0. changed: of the training's settings, or of the sizes."""
    source = source or Colours()
    sizes: dict[str, Any] = dict(MICRO["nuwa-infinity"])
    for name, value in changed.items():
        if hasattr(Config().training, name):
            sizes["training"] = sizes["training"] | {name: value}
        else:
            sizes[name] = value
    config = override(Config(), sizes)
    config = override(config, SYSTEM.fitted(config, source))
    torch.manual_seed(0)
    model = made(SYSTEM, config, source.words())
    assert isinstance(model, Model)
    return model


def stages(
    source: Source | None = None, model: Model | None = None, **changed: Any
) -> dict[str, Any]:
    """All of them by name, prepared."""
    source = source or Colours()
    model = model or toy(source, **changed)
    options = TrainOptions(seed=0, precision="fp32")
    found = {stage.name: stage for stage in SYSTEM.stages(model, source, options)}
    for stage in found.values():
        with TemporaryDirectory() as cache:  # a table that is open outlives its file
            stage.prepare(Path(cache), silent)
    return found


def patches() -> Stage:
    """The transformer's training."""
    stage = stages()["transformer"]
    stage.steps, stage.batch = 4, 4
    return stage
