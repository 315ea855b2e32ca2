"""A NUWA-Infinity of a few thousand weights and its stages, on the toy systems' colours."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
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


class Kept(Source):
    """Pictures and clips of given sizes that are kept: every pixel's colours are its place."""

    name = "kept"

    def __init__(self, *shapes: tuple[int, int], moving: int = 0, words: tuple[str, ...] = ()):
        self.shapes, self.moving, self.told = shapes, moving, words

    def __len__(self) -> int:
        return len(self.shapes)

    def duration(self, index: int) -> float:
        return 1.0

    def still(self, index: int) -> bool:
        return index >= self.moving

    def shape(self, index: int) -> tuple[int, int]:
        return self.shapes[index]

    def whole(self, index: int, times: np.ndarray) -> np.ndarray:
        height, width = self.shapes[index]
        down, across = np.mgrid[:height, :width]
        frame = np.stack([down, across, np.zeros_like(down)], axis=-1)
        frames = np.repeat(frame[None], len(times), axis=0)
        frames[..., 2] = np.round(100 * times)[:, None, None]
        return frames.astype(np.uint8)

    def frames(self, index: int, times: np.ndarray, size: tuple[int, int]) -> Any:
        raise AssertionError("whole pictures are there")

    def caption(self, index: int, rng: np.random.Generator) -> str:
        return " ".join(self.told)

    def words(self) -> list[str]:
        return sorted(self.told)

    def fingerprint(self) -> str:
        return repr(self.shapes)


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


def patches(steps: int = 8) -> Stage:
    """The transformer's training."""
    stage = stages()["transformer"]
    stage.steps, stage.batch = steps, 4
    return stage
