"""LongVideoGAN's two trainings: of small videos, and of large frames from small ones.

2206.03429, section 3.3 and appendix; rates, averages and augmentation as they were published.
Neither reads what the other has learnt: large frames are made of real small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...training.events import Note, OnEvent
from ...training.player import Player, Turn
from ...training.rates import Constant
from ...training.stage import Stage
from ..layers.adversarial import (
    DISTANCE,
    LAZY,
    Controller,
    HalfLife,
    Running,
    collapsed,
    fooling,
    lazily,
    squared_slope,
    telling,
)
from ..layers.augmentation import DRAWS
from ..layers.magnitude import Magnitudes
from ..layers.precision import full_precision
from ..layers.video_augmentation import CHANGES
from .config import PAIRS
from .judging import LowExam, SuperExam
from .lessons import MOVES, SHORT, SHOWN, TURNS, LowLessons, SuperLessons, noise_shape
from .making import FOOLING, SLOPE, TELLING, TRUE, LowMaking, Making, SuperMaking, centred

if TYPE_CHECKING:
    from ...data import Source
    from ...media.clip import Clip
    from ...training.options import TrainOptions
    from ..exam import Exam
    from .lessons import Lessons
    from .model import Model

RATE, LOW_JUDGE_RATE = 0.003, 0.002  # of learning; of the small videos' discriminator
BETAS = (0.0, 0.99)
# The average keeps this much of itself a step, in the end, and less in the first steps.
KEPT, WARM_UP = 0.99985, 25_000
HALF_LIFE = log(0.5) / log(KEPT)  # steps
AVERAGE = HalfLife(1, HALF_LIFE, HALF_LIFE / WARM_UP)
STYLES_KEPT = 0.998  # of the mean of w, a step
AUGMENTED_BY, AUGMENTED_MOST = 5e-4, 0.5  # what its probability moves by, and never exceeds
MENDED = 1e5  # what an infinite gradient becomes


class GeneratorLoss(nn.Module):
    """The non-saturating loss."""

    def __init__(self, making: Making) -> None:
        super().__init__()
        self.making = making

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss."""
        videos = self.making.made(batch, FOOLING)
        return {"loss": fooling(self.making.judged(videos, batch, FOOLING))}


class DiscriminatorLoss(nn.Module):
    """The logistic loss on real and made videos. What it makes tells the generator's magnitudes,
    and logits of real videos the controller of augmentation."""

    def __init__(self, making: Making, magnitudes: Magnitudes) -> None:
        super().__init__()
        self.making, self.magnitudes = making, magnitudes

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss, mean scores, the augmentation's probability."""
        making, controller = self.making, self.making.controller
        with torch.no_grad(), self.magnitudes.heeding():
            videos = making.made(batch, TELLING)
        fake = making.judged(videos, batch, TELLING)
        real = making.judged(centred(batch[making.real]), batch, TRUE)
        told = {"real": real.detach().float().mean(), "fake": fake.detach().float().mean()}
        if controller is not None:
            controller.heed(real)
            told["augmented"] = controller.probability.clone()
        return {"loss": telling(real, fake), **told}


class GradientPenalty(nn.Module):
    """R1 at real videos, summed over all frames of one, through the augmentation, in full
    precision; as strong as it is seldom."""

    def __init__(self, making: Making, gamma: float) -> None:
        super().__init__()
        self.making, self.gamma = making, gamma

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss and the penalty itself."""
        videos = centred(batch[self.making.real]).requires_grad_(True)
        with full_precision(videos):
            slope = squared_slope(self.making.judged(videos, batch, SLOPE), videos)
        penalty = videos.shape[1] * slope
        return {"loss": LAZY * self.gamma / 2 * penalty, "penalty": penalty.detach()}


class Rivals(Stage):
    """A generator, which is averaged with its buffers, against a discriminator with a lazy gradient
    penalty."""

    steps, batch = 5000, 16
    needs = ()
    evaluate_every, judged_by = 250, DISTANCE
    told: ClassVar = {
        "discriminator_real": "real",
        "discriminator_fake": "fake",
        "discriminator_r1_penalty": "R1",
    }

    def __init__(
        self, making: Making, lessons: Lessons, options: TrainOptions, rate: float, gamma: float
    ) -> None:
        """rate, gamma: of the discriminator."""
        self.config, self.lessons = lessons.config, lessons
        self.seed, self.workers = lessons.seed, options.workers or 0
        self.batch = options.batch or self.batch
        self.making, self.magnitudes = making, Magnitudes(making.generator)
        self.modules = nn.ModuleDict(
            {"generator": making.generator, "discriminator": making.discriminator}
        )
        self.players = [self._generator(), self._discriminator(rate, gamma)]

    def _generator(self) -> Player:
        making = self.making
        own = list(making.generator.parameters())
        return Player("generator", GeneratorLoss(making), own, RATE, BETAS, rate=Constant(),
                      clip_norm=None, mend=MENDED, average=AVERAGE,
                      buffers=making.generator)  # fmt: skip

    def _discriminator(self, rate: float, gamma: float) -> Player:
        making = self.making
        rate, betas = lazily(rate, BETAS, LAZY)
        turns = [
            Turn(DiscriminatorLoss(making, self.magnitudes)),
            Turn(GradientPenalty(making, gamma), every=LAZY, name="r1"),
        ]
        own = list(making.discriminator.parameters())
        return Player("discriminator", turns, own, rate, betas, rate=Constant(), clip_norm=None,
                      mend=MENDED, average=None)  # fmt: skip

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        self.lessons.prepare(cache, self.workers, on_event)
        if self.exam.missing:
            on_event(Note(self.exam.missing))

    @cached_property
    def exam(self) -> Exam:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.lessons)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return self.lessons.batch(indices, epoch)

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        self.magnitudes.after_step(reduce)

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """How far clips of fixed seeds are from real ones, how different from each other, and the
        first of them."""
        return self.exam.taken(self.share)

    def concern(self, history: Sequence[dict[str, float]]) -> str | None:
        return collapsed(history)


class LowStage(Rivals):
    """Small videos from noise, many frames judged at once."""

    name = "low"

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, config = model, model.config
        lessons = LowLessons(config, source, options.seed or 0, self.name)
        super().__init__(LowMaking(model), lessons, options, LOW_JUDGE_RATE, config.low_gamma)

    @cached_property
    def exam(self) -> LowExam:
        return LowExam(self.model, self.lessons.source, self.seed)

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.config
        sides = config.low_height, config.low_width
        return {
            "real": torch.zeros(count, config.frames, *sides, 3, dtype=torch.uint8),
            "noise": torch.zeros(count, TURNS, *noise_shape(config)),
            "shift": torch.zeros(count, TURNS, dtype=torch.long),
            "uniform": torch.zeros(count, SHOWN, CHANGES),
        }


class SuperStage(Rivals):
    """Large frames from real small ones, a few pairs judged at once, under adaptive
    augmentation."""

    name = "super"
    told: ClassVar = {**Rivals.told, "discriminator_augmented": "augmented"}

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, config = model, model.config
        self.controller = Controller(
            AUGMENTED_BY, config.augment_target, most=AUGMENTED_MOST, even=1
        )
        self.styles = Running(model.super_generator.SG3.mapping.w_avg, STYLES_KEPT)
        lessons = SuperLessons(config, source, options.seed or 0, self.name)
        making = SuperMaking(model, self.controller, self.styles)
        super().__init__(making, lessons, options, RATE, config.super_gamma)
        self.modules.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @cached_property
    def exam(self) -> SuperExam:
        return SuperExam(self.model, self.lessons.source, self.seed)

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.config
        small, large = (config.low_height, config.low_width), (config.height, config.width)
        return {
            "small": torch.zeros(count, SHORT, *small, 3, dtype=torch.uint8),
            "large": torch.zeros(count, PAIRS, *large, 3, dtype=torch.uint8),
            "seen": torch.zeros(count, SHOWN),
            "uniform": torch.zeros(count, SHOWN, DRAWS),
            "z": torch.zeros(count, TURNS, config.latent),
            "moves": torch.zeros(count, TURNS, MOVES),
            "noise": torch.zeros(count, TURNS, SHORT, 3, *small),
        }

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        super().after_step(step, reduce)
        self.styles.after_step(reduce)
        self.controller.after_step(step, reduce)

    def state(self) -> dict[str, Tensor]:
        return self.controller.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.controller.load_state(state)


STAGES: tuple[Any, ...] = (LowStage, SuperStage)
