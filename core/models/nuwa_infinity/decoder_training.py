"""The decoder of NUWA-Infinity's tokenizer again, with its codes at rest.

Features and adversary draw leaves where a mean would blur, and leave a fine grid over even skies.
So the decoder goes on alone, held to pixels above all; what reads the codes stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...training.player import Player
from .likeness import Likeness
from .tokenizer_training import VqganStage, pictures_of, psnr
from .views import views_table
from .vqgan import Vqgan

if TYPE_CHECKING:
    from ...training.events import OnEvent

SQUARED = 4.0  # weight of the squared difference beside the absolute one


class Redrawing(nn.Module):
    """Pictures come back like what they were, from codes that are what they are."""

    def __init__(self, vqgan: Vqgan, likeness: Likeness) -> None:
        super().__init__()
        self.vqgan, self.likeness = vqgan, likeness

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch: of the stage's `collate` -> loss and decibels."""
        real = pictures_of(batch["frames"])
        with torch.no_grad():
            vectors = self.vqgan.vectors(self.vqgan.encode(real))
        made = self.vqgan.drawn(vectors)
        loss = self.likeness(made, real) + SQUARED * (made.float() - real).square().mean()
        return {"loss": loss, "psnr": psnr(made.detach(), real)}


class DecoderStage(VqganStage):
    """Codes to pictures, without the adversary, which waits for the guide."""

    name = "decoder"
    needs = ("vqgan",)
    steps, batch = 1500, 8

    @property
    def phases(self) -> tuple[float, ...]:
        return (0.0,)

    def own(self) -> dict[str, nn.Module]:
        return {"decoder": self.model.vqgan.decoder}

    def _players(self) -> list[Player]:
        told, device = self.model.config.training, next(self.model.parameters()).device
        likeness = Likeness(self.views.source.name, told.redrawn).to(device)
        objective = Redrawing(self.model.vqgan, likeness)
        return [
            Player(self.name, objective, self.learning(), told.tokenizer_rate, weight_decay=0.01)
        ]

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        self.table = views_table(self.views, cache, self.options.workers or 0, on_event)

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        """Nothing: the codes stay, and nobody judges."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing is carried."""
