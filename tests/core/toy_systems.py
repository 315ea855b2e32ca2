"""The systems of tests/systems, found by looking, and their stages on pictures of one hue each."""

import os
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("DLN_MODELS", str(Path(__file__).parents[1] / "systems"))

import numpy as np
import torch

from dln.core.data import Source
from dln.core.models.registry import MODELS, PLACES, load
from dln.core.runs.build import build
from dln.core.training.options import TrainOptions

PLACED = [Path(place) for place in os.environ[PLACES].split(os.pathsep)]
SYSTEMS = sorted(
    name
    for name, about in MODELS.items()
    if any((place / about.module / "about.py").exists() for place in PLACED)
)


class Colours(Source):
    """Clips whose pixels share a hue and grow brighter from top to bottom."""

    name = "colours"

    def __init__(self, count: int = 20) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def duration(self, index: int) -> float:
        return 1.0

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """times: (T,) -> (T, height, width, 3) uint8, no mask."""
        colour = np.random.default_rng(index).integers(50, 200, 3)
        ramp = np.linspace(0.5, 1.2, size[0])[:, None, None]
        rows = np.broadcast_to(colour * ramp, (len(times), *size, 3))
        return (rows + 5 * times[:, None, None, None]).astype(np.uint8), None

    def caption(self, index: int, rng: np.random.Generator) -> str:
        return f"colour {index}"

    def words(self) -> list[str]:
        return ["colour"]

    def fingerprint(self) -> str:
        return f"colours {self.count}"


def stage_of(name: str, device: str = "cpu") -> Any:
    """The first training of such a system, its weights drawn from seed 0."""
    torch.manual_seed(0)
    source = Colours()
    with torch.device(device):
        model = build(MODELS[name], None, {}, source)
    return load(MODELS[name]).stages(model, source, TrainOptions(seed=0))[0]


toy_gan, toy_pieces = partial(stage_of, "toy-gan"), partial(stage_of, "toy-pieces")
