"""A small classifier with two heads for the tests of SAM, SAF and MESA."""

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.training.rates import Cosine
from dln.core.training.settings import FitSettings
from dln.core.training.sharpness import Sharpness
from dln.core.training.stage import Player, Stage

HEADS = (3, 4)
SAF = Sharpness("saf", start=1, lag=2)
SETTINGS = FitSettings(log_every=1, checkpoint_seconds=None)


class Objective(nn.Module):
    """Cross-entropy of both heads."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]):
        """x: (B, 4), labels: (B, 2) -> loss and logits."""
        logits = self.network(batch["x"]).split(HEADS, dim=1)
        losses = [nn.functional.cross_entropy(o, batch["labels"][:, i])
                  for i, o in enumerate(logits)]  # fmt: skip
        return {"loss": torch.stack(losses).mean(), "logits": logits}


class Classes(Stage):
    """40 samples in batches of 8: five steps an epoch."""

    def __init__(self, steps: int = 30, learning_rate: float = 0.05) -> None:
        torch.manual_seed(0)
        self.name, self.steps, self.batch, self.outputs = "classes", steps, 8, sum(HEADS)
        network = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 7))
        self.modules = network
        own = list(network.parameters())
        player = Player("classes", Objective(network), own, learning_rate, optimizer="sgd")
        player.rate, player.average = Cosine(warmup=4), None
        self.players = [player]
        self.x = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
        self.labels = torch.stack([self.x.argmax(1) % 3, self.x.argmin(1)], dim=1)

    def __len__(self) -> int:
        return 40

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return {"x": self.x[indices], "labels": self.labels[indices]}


def settings(chosen: Sharpness, **changes) -> FitSettings:
    return FitSettings(**{**vars(SETTINGS), "sharpness": chosen, **changes})
