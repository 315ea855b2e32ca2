"""StyleGAN-V's one training: a generator against a discriminator of a few frames.

2112.14683, sections 3.3 and 4; rates, averages and augmentation as it was published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
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
    controller_step,
    fooling,
    lazily,
    squared_slope,
    telling,
    usual_gamma,
)
from ..layers.augmentation import DRAWS, augment
from ..layers.judge import GROUP
from ..layers.precision import full_precision
from .config import FRAMES
from .judging import Exam
from .lessons import Lessons
from .videos import made

if TYPE_CHECKING:
    from ...data import Source
    from ...media.clip import Clip
    from ...training.options import TrainOptions
    from .model import Model

RATE, LARGE_RATE, LARGE = 0.0025, 0.002, 1024  # of learning; from that side on the smaller one
BETAS = (0.0, 0.99)
IDLE = 4  # steps from one regularisation of the generator to the next, of which there is none
AUGMENTED_IN = 100.0  # thousand videos in which the augmentation's probability may rise to 1
HALF_LIFE = 10_000 / 32  # videos for each sample of a step, in which the average forgets a half
MENDED = 1e5  # what an infinite gradient becomes
# Whose turn draws what: its own latents, moments and classes, and the augmentation's numbers.
FOOLING, TELLING, TRUE, SLOPE = range(4)


# How many samples it touches is another number at each step: nothing that one compiles.
augmented: Any = torch.compiler.disable(augment)


class Making(nn.Module):
    """Made videos, and how they and real ones are shown to the discriminator."""

    def __init__(self, model: Model, controller: Controller) -> None:
        super().__init__()
        self.generator, self.discriminator = model.generator, model.discriminator
        self.classes, self.controller = len(model.config.classes), controller

    def label(self, numbers: Tensor) -> Tensor | None:
        """(B,) -> (B, classes), None where there are none."""
        return F.one_hot(numbers, self.classes).float() if self.classes else None

    def made(self, batch: dict[str, Tensor], turn: int) -> tuple[Tensor, Tensor]:
        """Videos (B, FRAMES, 3, S, S) and their styles (B, W), as drawn for this turn."""
        z, noise, times, label = (
            batch[name][:, turn] for name in ("z", "noise", "moments", "wanted")
        )
        return made(self.generator, z, noise, times, self.label(label))

    def judged(
        self, videos: Tensor, times: Tensor, label: Tensor, batch: dict[str, Tensor], turn: int
    ) -> Tensor:
        """Logits (B,) of what is shown after augmentation."""
        if self.controller.active:
            videos = augmented(videos, batch["uniform"][:, turn], self.controller.probability)
        return self.discriminator(videos, times, self.label(label))

    def of_made(self, videos: Tensor, batch: dict[str, Tensor], turn: int) -> Tensor:
        """Logits (B,) of made videos."""
        wanted = batch["wanted"][:, turn]
        return self.judged(videos, batch["moments"][:, turn], wanted, batch, turn)

    def of_real(self, videos: Tensor, batch: dict[str, Tensor], turn: int) -> Tensor:
        """Logits (B,) of real videos."""
        return self.judged(videos, batch["times"], batch["label"], batch, turn)


class GeneratorLoss(Making):
    """The non-saturating loss."""

    def __init__(self, model: Model, controller: Controller, styles: Running) -> None:
        super().__init__(model, controller)
        self.styles = styles

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss."""
        videos, w = self.made(batch, FOOLING)
        self.styles.heed(w)
        return {"loss": fooling(self.of_made(videos, batch, FOOLING))}


class DiscriminatorLoss(Making):
    """The logistic loss on real and made videos; tells the controller of the real ones."""

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss, mean scores, the augmentation's probability."""
        with torch.no_grad():
            videos, _ = self.made(batch, TELLING)
        fake = self.of_made(videos, batch, TELLING)
        real = self.of_real(centred(batch["real"]), batch, TRUE)
        self.controller.heed(real)
        scores = {"real": real.detach().float().mean(), "fake": fake.detach().float().mean()}
        probability = self.controller.probability.clone()
        return {"loss": telling(real, fake), **scores, "augmented": probability}


class GradientPenalty(Making):
    """R1 at real videos, through the augmentation, in full precision; as strong as it is seldom."""

    def __init__(self, model: Model, controller: Controller, gamma: float) -> None:
        super().__init__(model, controller)
        self.gamma = gamma

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `collate` -> loss and the penalty itself."""
        videos = centred(batch["real"]).requires_grad_(True)
        with full_precision(videos):
            penalty = squared_slope(self.of_real(videos, batch, SLOPE), videos)
        return {"loss": LAZY * self.gamma / 2 * penalty, "penalty": penalty.detach()}


def centred(frames: Tensor) -> Tensor:
    """uint8 (B, T, S, S, 3) -> (B, T, 3, S, S) in -1 ... 1."""
    return frames.movedim(-1, 2).float() / 127.5 - 1


class AdversarialStage(Stage):
    """A generator, which is averaged, against a discriminator with a lazy gradient penalty."""

    name = "adversarial"
    steps, batch = 5000, 16
    evaluate_every, judged_by = 250, DISTANCE
    told: ClassVar = {
        "discriminator_real": "real",
        "discriminator_fake": "fake",
        "discriminator_r1_penalty": "R1",
        "discriminator_augmented": "augmented",
    }

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        self.model, self.seed, self.workers = model, options.seed or 0, options.workers or 0
        self.lessons = Lessons(model.config, source, self.seed, self.name)
        self.batch = options.batch or self.batch
        self.modules = nn.ModuleDict(
            {"generator": model.generator, "discriminator": model.discriminator}
        )
        self.modules.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.controller = Controller(
            controller_step(self.batch, AUGMENTED_IN), model.config.augment_target
        )
        self.styles = Running(model.generator.mapping.w_avg)
        self.players = [self._generator(), self._discriminator()]

    def _generator(self) -> Player:
        rate, betas = lazily(self._rate, BETAS, IDLE)
        objective = GeneratorLoss(self.model, self.controller, self.styles)
        average = HalfLife(self.batch, self.batch * HALF_LIFE)
        own = list(self.model.generator.parameters())
        return Player("generator", objective, own, rate, betas, rate=Constant(), clip_norm=None,
                      mend=MENDED, average=average)  # fmt: skip

    def _discriminator(self) -> Player:
        rate, betas = lazily(self._rate, BETAS, LAZY)
        config = self.model.config
        gamma = usual_gamma(config.side, self.batch) if config.gamma is None else config.gamma
        penalty = GradientPenalty(self.model, self.controller, gamma)
        turns = [
            Turn(DiscriminatorLoss(self.model, self.controller)),
            Turn(penalty, every=LAZY, name="r1"),
        ]
        own = list(self.model.discriminator.parameters())
        return Player("discriminator", turns, own, rate, betas, rate=Constant(), clip_norm=None,
                      mend=MENDED, average=None)  # fmt: skip

    @property
    def _rate(self) -> float:
        return LARGE_RATE if self.model.config.side >= LARGE else RATE

    def together(self, batch: int) -> int:
        """Those whose deviations the discriminator looks at."""
        return min(GROUP, batch)

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        self.lessons.prepare(cache, self.workers, on_event)
        if self.exam.missing:
            on_event(Note(self.exam.missing))

    @cached_property
    def exam(self) -> Exam:
        return Exam(self.model, self.lessons.source, self.seed)

    def __len__(self) -> int:
        return len(self.lessons)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return self.lessons.batch(indices, epoch)

    def example(self, count: int) -> dict[str, Tensor]:
        config = self.model.config
        numbers, pairs = (torch.zeros(size, dtype=torch.long) for size in (count, (count, 2)))
        times = torch.arange(FRAMES).float().expand(count, -1)
        side = config.side
        return {
            "real": torch.zeros(count, FRAMES, side, side, 3, dtype=torch.uint8),
            "times": times,
            "label": numbers,
            "uniform": torch.zeros(count, 4, DRAWS),
            "z": torch.zeros(count, 2, config.latent),
            "noise": torch.zeros(count, 2, self.lessons.anchors, config.latent),
            "moments": times[:, None].expand(-1, 2, -1),
            "wanted": pairs,
        }

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        self.styles.after_step(reduce)
        self.controller.after_step(step, reduce)

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """How far clips of fixed seeds are from real ones, how different from each other, and the
        first of them."""
        return self.exam.taken(self.share)

    def concern(self, history: Sequence[dict[str, float]]) -> str | None:
        return collapsed(history)

    def state(self) -> dict[str, Tensor]:
        return self.controller.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.controller.load_state(state)
