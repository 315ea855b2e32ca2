"""How the toy of pieces is trained: patch after patch, an optimiser step each, with what was read
of the earlier ones kept (render and optimise, 2207.09814 section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.models.layers.lessons import lesson_rng
from dln.core.training.player import Turn
from dln.core.training.stage import Player, Stage

SIDE, PATCHES = 8, 4


@dataclass
class Memory:
    """What a batch's pieces leave for the later ones."""

    state: Tensor | None = None


def patches(batch: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """rows: (B, PATCHES, 48) -> a piece for each patch but the last, with the one to guess."""
    memory = Memory()
    for patch, following in zip(
        batch["rows"][:, :-1].unbind(1), batch["rows"][:, 1:].unbind(1), strict=True
    ):
        yield {"patch": patch, "next": following, "memory": memory}


class NextPatch(nn.Module):
    """Squared error of the guess; the state is kept without its history."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, piece: dict[str, Any]) -> dict[str, Tensor]:
        """patch, next: (B, 48); memory -> loss."""
        guess, state = self.network(piece["patch"], piece["memory"].state)
        piece["memory"].state = state.detach()
        return {"loss": (guess - piece["next"]).square().mean()}


class PiecesStage(Stage):
    """Pictures as sequences of patches."""

    name = "patches"

    def __init__(self, model: Any, source: Any, options: Any) -> None:
        """model: with network(patch, state) -> guess, state."""
        self.source, self.seed, self.modules = source, options.seed or 0, model.network
        self.steps, self.batch = 20, 8
        turn = Turn(NextPatch(model.network), pieces=patches)
        self.players = [Player("network", [turn], list(model.network.parameters()), 1e-2)]

    def __len__(self) -> int:
        return len(self.source)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        rows = []
        for index in indices:
            rng = lesson_rng(self.seed, self.name, epoch, int(index))
            picture = self.source.frames(int(index), rng.random(1), (SIDE, SIDE))[0][0]
            rows.append(picture.reshape(PATCHES, -1))
        return {"rows": torch.from_numpy(np.stack(rows)) / 127.5 - 1}

    def example(self, count: int) -> dict[str, Tensor]:
        return {"rows": torch.zeros(count, PATCHES, 3 * SIDE**2 // PATCHES)}

    def evaluate(self) -> tuple[dict[str, float], None]:
        device = next(self.modules.parameters()).device
        batch = {"rows": self.collate(np.arange(len(self))[:16], 0)["rows"].to(device)}
        losses = [self.players[0].objective(piece)["loss"] for piece in patches(batch)]
        return {"error": float(torch.stack(losses).mean())}, None
