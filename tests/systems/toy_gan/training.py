"""How the toy GAN is trained: StyleGAN2-ADA's recipe (2006.06676) on pictures of 8 x 8 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.models.layers.adversarial import Controller, HalfLife, fooling, squared_slope, telling
from dln.core.models.layers.lessons import lesson_rng
from dln.core.training.player import Turn
from dln.core.training.rates import Constant
from dln.core.training.stage import Player, Stage

SIDE = 8
LAZY = 4  # steps from one gradient penalty to the next
GAMMA = 1.0


class Augmentation(Controller):
    """Mirrors pictures with a probability that grows while the discriminator is too sure."""

    def __call__(self, pictures: Tensor) -> Tensor:
        """pictures: (B, 3, H, W) -> same, each of them mirrored or not."""
        chosen = torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
        return torch.where(chosen < self.probability, pictures.flip(-1), pictures)


class GeneratorLoss(nn.Module):
    """The non-saturating loss."""

    def __init__(self, model: Any, augmentation: Augmentation) -> None:
        super().__init__()
        self.generator, self.discriminator = model.generator, model.discriminator
        self.augmentation = augmentation

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """real: (B, 3, 8, 8) -> loss."""
        fake = self.augmentation(made(self.generator, batch["real"]))
        return {"loss": fooling(self.discriminator(fake))}


class DiscriminatorLoss(GeneratorLoss):
    """The logistic loss on real and made pictures; keeps the real ones' logits for the
    augmentation."""

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """real: (B, 3, 8, 8) -> loss, mean logit of the real ones."""
        with torch.no_grad():
            fake = made(self.generator, batch["real"])
        false = self.discriminator(self.augmentation(fake))
        true = self.discriminator(self.augmentation(batch["real"]))
        self.augmentation.heed(true)
        return {"loss": telling(true, false), "real": true.detach().mean()}


class GradientPenalty(nn.Module):
    """R1: gamma / 2 times the squared gradient of the logit at real pictures, `LAZY` times as
    strong because it comes that seldom (1801.04406; StyleGAN2's lazy regularisation)."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """real: (B, 3, 8, 8) -> loss."""
        real = batch["real"].detach().requires_grad_(True)
        slope = squared_slope(self.discriminator(real), real)
        return {"loss": LAZY * GAMMA / 2 * slope}


def made(generator: Any, real: Tensor) -> Tensor:
    """As many pictures as there are real ones, from noise."""
    return generator(torch.randn(len(real), generator.latent, device=real.device))


class ToyGanStage(Stage):
    """A generator, which is averaged, against a discriminator with a lazy gradient penalty."""

    name = "adversarial"

    def __init__(self, model: Any, source: Any, options: Any) -> None:
        """model: with generator (of `latent` numbers, `update(reduce)` after a step) and
        discriminator."""
        self.model, self.source, self.seed = model, source, options.seed or 0
        self.steps, self.batch = 24, options.batch or 8
        parts = {"generator": model.generator, "discriminator": model.discriminator}
        self.modules = nn.ModuleDict(parts)
        self.augmentation = Augmentation(step=0.05)
        self.players = [
            Player(
                "generator",
                GeneratorLoss(model, self.augmentation),
                list(model.generator.parameters()),
                2e-3,
                betas=(0.0, 0.99),
                rate=Constant(),
                clip_norm=None,
                average=HalfLife(self.batch, samples=500),
            ),
            Player(
                "discriminator",
                [
                    Turn(DiscriminatorLoss(model, self.augmentation)),
                    Turn(GradientPenalty(model.discriminator), every=LAZY, name="r1"),
                ],
                list(model.discriminator.parameters()),
                2e-3,
                betas=(0.0, 0.99),
                rate=Constant(),
                clip_norm=None,
                average=None,
            ),
        ]

    def __len__(self) -> int:
        return len(self.source)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        pictures = []
        for index in indices:
            rng = lesson_rng(self.seed, self.name, epoch, int(index))
            pictures.append(self.source.frames(int(index), rng.random(1), (SIDE, SIDE))[0][0])
        return {"real": torch.from_numpy(np.stack(pictures)).movedim(-1, 1) / 127.5 - 1}

    def example(self, count: int) -> dict[str, Tensor]:
        return {"real": torch.zeros(count, 3, SIDE, SIDE)}

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        self.model.generator.update(reduce)
        self.augmentation.after_step(step, reduce)

    def evaluate(self) -> tuple[dict[str, float], None]:
        device = next(self.modules.parameters()).device
        pictures = made(self.model.generator, torch.zeros(16, 1, device=device))
        return {"brightness": float(pictures.mean())}, None

    def state(self) -> dict[str, Tensor]:
        return self.augmentation.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.augmentation.load_state(state)
