"""StyleGAN-V's training at the smallest size, on clips of one hue each."""

from typing import Any

import numpy as np
import torch

from dln.core.models.layers.adversarial import SPREAD
from dln.core.models.stylegan_v.config import Config
from dln.core.models.stylegan_v.model import Model
from dln.core.models.stylegan_v.training import AdversarialStage
from dln.core.training.options import TrainOptions

try:
    from .toy_systems import Colours
except ImportError:  # in a script
    from toy_systems import Colours

SMALL: dict[str, Any] = {"side": 32, "latent": 8, "channel_base": 128, "channel_max": 8, "waves": 4,
                         "longest_span": 8}  # fmt: skip


class Named(Colours):
    """Clips of two classes, bright and dark ones, of which a mirrored one is as good."""

    classes, flips = ("bright", "dark"), True

    def label(self, index: int) -> int:
        return index % 2


class Videos(AdversarialStage):
    """A name of its own, and judged by what needs no recognizer."""

    name = "videos"
    judged_by = SPREAD

    def __init__(self, batch: int = 16, source: Colours | None = None, **sizes: Any) -> None:
        torch.manual_seed(0)
        source = source or Colours()
        config = Config(**SMALL | sizes, classes=source.classes)
        super().__init__(Model(config), source, TrainOptions(seed=0, batch=batch))
        self.steps, self.evaluate_every = 10, None
        self.controller.step = 0.1  # so that it augments at once
        self.exam.judge = None

    def batch_of(self, *indices: int) -> dict[str, torch.Tensor]:
        return self.collate(np.array(indices), 0)
