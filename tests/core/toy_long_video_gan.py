"""LongVideoGAN's trainings at the smallest size, on clips of one hue each."""

from typing import Any

import numpy as np
import torch

from dln.core.models.layers.adversarial import SPREAD
from dln.core.models.long_video_gan.config import Config
from dln.core.models.long_video_gan.model import Model
from dln.core.models.long_video_gan.training import LowStage, SuperStage
from dln.core.training.options import TrainOptions

from .toy_systems import Colours

SMALL: dict[str, Any] = dict(
    low_height=8, low_width=16, height=16, width=32, noise_channels=2, filters=4,
    shortest_rate=26.0, longest_rate=60.0, low_channels=16, low_judge_channels=1, frames=16,
    latent=8, layers=4, margin=2, channel_base=256, channel_max=8, judge_base=256, judge_max=8,
    fps=8.0,
)  # fmt: skip


class Hues(Colours):
    """Clips of four seconds, darker on the left, of which a mirrored one is as good."""

    flips = True

    def duration(self, index: int) -> float:
        return 4.0

    def frames(self, index: int, times: np.ndarray, size: tuple[int, int]) -> Any:
        frames, _ = super().frames(index, times, size)
        return frames // 2 + np.arange(size[1], dtype=np.uint8)[:, None], None


def model_of(**sizes: Any) -> Model:
    torch.manual_seed(0)
    return Model(Config(**SMALL | sizes))


class Toy:
    """Judged by what needs no recognizer."""

    judged_by = SPREAD

    def __init__(self, batch: int = 4, source: Any = None, **sizes: Any) -> None:
        options = TrainOptions(seed=0, batch=batch)
        super().__init__(model_of(**sizes), source or Hues(), options)  # pyright: ignore
        self.steps, self.evaluate_every = 4, None
        self.exam.judge = None  # pyright: ignore

    def batch_of(self, *indices: int) -> dict[str, torch.Tensor]:
        return self.collate(np.array(indices), 0)  # pyright: ignore


class Low(Toy, LowStage):
    """Small videos."""


class Super(Toy, SuperStage):
    """Large frames, augmented from the second step on."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.controller.step, self.controller.every = 0.1, 1
