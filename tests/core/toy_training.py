"""A small stage of two players to train in tests."""

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dln.core.training import state
from dln.core.training.ema import Average
from dln.core.training.rates import Cosine
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.stage import Player, Stage


class Regression(nn.Module):
    """Mean squared error of a model, with noise on its input where asked."""

    def __init__(self, model: nn.Module, noise: float = 0.0) -> None:
        super().__init__()
        self.model, self.noise = model, noise

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """x: (B, 4), y: (B, 1) -> loss."""
        x = batch["x"]
        if self.noise:
            x = x + self.noise * torch.randn(x.shape)
        error = self.model(x) - batch["y"]
        return {"loss": error.square().mean(), "mae": error.detach().abs().mean()}


class Critic(nn.Module):
    """A second network that learns the first one's output."""

    def __init__(self, model: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.model, self.critic = model, critic

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """x: (B, 4) -> loss."""
        return {"loss": (self.critic(batch["x"]) - self.model(batch["x"])).square().mean()}


class Toy(Stage):
    """A perceptron and its critic; the stage's own state counts the steps."""

    def __init__(self, steps: int = 20, batch: int = 8, samples: int = 40, noise: float = 0.0):
        torch.manual_seed(0)
        self.name, self.steps, self.batch, self.samples = "toy", steps, batch, samples
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        self.model, self.critic = model, nn.Linear(4, 1)
        self.modules = nn.ModuleDict({"model": model, "critic": self.critic})
        own, rivals = list(model.parameters()), list(self.critic.parameters())
        self.players = [
            Player("model", Regression(model, noise), own, 1e-2, weight_decay=0.1),
            Player("critic", Critic(model, self.critic), rivals, 3e-3),
        ]
        for player in self.players:
            player.rate, player.average = Cosine(warmup=4), Average(0.9)
        self.counter = torch.zeros(1)
        self.seen: list[tuple[int, int]] = []
        self.x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
        self.y = self.x.sum(1, keepdim=True)

    def __len__(self) -> int:
        return self.samples

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        self.seen += [(epoch, int(i)) for i in indices]
        return {"x": self.x[indices], "y": self.y[indices]}

    def after_step(self, step: int, reduce: Any) -> None:
        self.counter += float(reduce(torch.ones(1))) / step

    def evaluate(self) -> tuple[dict[str, float], None]:
        error = self.model(self.x) - self.y + 0 * torch.randn(1)
        return {"mse": float(error.detach().square().mean())}, None

    def state(self) -> dict[str, Tensor]:
        return {"counter": self.counter}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.counter = state["counter"].clone()


QUICK = FitSettings(log_every=1, checkpoint_seconds=None)


def rows(run: Run) -> list[dict[str, Any]]:
    """The log without what a clock has a part in."""
    clock = ("seconds", "samples_per_s")
    return [{k: v for k, v in row.items() if k not in clock} for row in run.rows()]


def weights(run: Run, stage: str = "toy") -> dict[str, Tensor]:
    return state.Checkpoints(run.state / stage).load_final()


def same(first: Run, second: Run, stage: str = "toy") -> bool:
    """Whether two finished runs have the same weights, bit for bit."""
    a, b = weights(first, stage), weights(second, stage)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stopping(Toy):
    """Sends this process a signal after some steps."""

    def __init__(self, stops: dict[int, int], **options: Any) -> None:
        super().__init__(**options)
        self.stops = stops

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if step in self.stops:
            os.kill(os.getpid(), self.stops.pop(step))


def check_lessons(stage: Any, drawn: str) -> None:
    """A lesson is a function of its sample and the epoch; drawn: what each epoch draws anew."""
    whole, parts = stage.batch_of(3, 1, 8), [stage.batch_of(i) for i in (3, 1, 8)]
    for name, tensor in whole.items():
        assert torch.equal(tensor, torch.cat([part[name] for part in parts])), name
    again = stage.collate(np.array([3]), 1)
    assert not torch.equal(again[drawn], parts[0][drawn]), "another epoch draws anew"
    example = stage.example(3)
    assert {k: (v.shape, v.dtype) for k, v in example.items()} == {
        k: (v.shape, v.dtype) for k, v in whole.items()
    }
