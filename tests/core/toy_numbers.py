"""Single numbers as players, whose steps can be worked out by hand."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.training.rates import Constant
from dln.core.training.stage import Player, Stage


class Line(nn.Module):
    """The squared distance of a number from what a batch holds; says what it was asked."""

    def __init__(self, number: nn.Parameter, factor: float = 1.0) -> None:
        super().__init__()
        self.number, self.factor = number, factor
        self.asked: list[tuple[float, float]] = []

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """x: (B,) -> loss factor (number - mean x)^2 / 2."""
        goal = batch["x"].mean()
        self.asked.append((self.number.item(), goal.item()))
        return {"loss": self.factor * (self.number - goal).square() / 2}


class Numbers(Stage):
    """Four samples 0, 1, 2, 3, all of them in each batch; players are given their turns."""

    def __init__(self, steps: int = 1, batch: int = 4) -> None:
        self.name, self.steps, self.batch = "numbers", steps, batch
        self.modules = nn.ParameterDict({"a": torch.tensor(1.0), "b": torch.tensor(-1.0)})
        self.a, self.b = self.modules["a"], self.modules["b"]
        self.players: list[Player] = []

    def add(self, name: str, turns: Any, number: nn.Parameter, **ways: Any) -> "Numbers":
        player = Player(name, turns, [number], 0.1, (0.0, 0.0), optimizer="sgd")
        player.rate, player.clip_norm, player.average = Constant(), None, None
        for way, value in ways.items():
            setattr(player, way, value)
        self.players.append(player)
        return self

    def __len__(self) -> int:
        return 4

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return {"x": torch.from_numpy(np.sort(indices)).float()}
