"""How the toy of classes is trained: the colour of a clip's middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.training.stage import Player, Stage


class Coloured(nn.Module):
    """Squared error of the frames' mean colour."""

    def __init__(self, colour: nn.Module) -> None:
        super().__init__()
        self.colour = colour

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """label: (B,), moment: (B,), mean: (B, 3) -> loss."""
        (made,) = self.colour(batch["label"], batch["moment"])
        return {"loss": (made.mean((2, 3)) - batch["mean"]).square().mean()}


class ColourStage(Stage):
    """Clips, or images of classes."""

    name = "colour"

    def __init__(self, model: Any, source: Any, options: Any) -> None:
        self.source, self.modules = source, model.colour
        self.steps, self.batch = 20, 4
        own = list(model.colour.parameters())
        self.players = [Player("colour", Coloured(model.colour), own, 1e-2)]

    def __len__(self) -> int:
        return len(self.source)

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        source = self.source
        labels = [source.label(int(i)) if source.classes else 0 for i in indices]
        pictures = np.stack([source.image(int(i), (8, 8)) for i in indices])
        return {
            "label": torch.tensor(labels),
            "moment": torch.zeros(len(indices)),
            "mean": torch.from_numpy(pictures.mean((1, 2)) / 255).float(),
        }

    def example(self, count: int) -> dict[str, Tensor]:
        labels = torch.zeros(count, dtype=torch.int64)
        return {"label": labels, "moment": torch.zeros(count), "mean": torch.zeros(count, 3)}
