"""Small stages to train in tests; run as a script it is what the fault tests start and kill."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # the first optimiser would import it in every child
from accelerate import Accelerator
from torch import Tensor, nn

from dln.core.training import state
from dln.core.training.events import Event, Started
from dln.core.training.fit import fit
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
        self.players = [
            Player(
                "model", Regression(model, noise), list(model.parameters()), 1e-2, weight_decay=0.1
            ),
            Player("critic", Critic(model, self.critic), list(self.critic.parameters()), 3e-3),
        ]
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


QUICK = FitSettings(warmup=4, log_every=1, checkpoint_seconds=None, ema_decay=0.9)


def rows(run: Run) -> list[dict[str, Any]]:
    """The log without what a clock has a part in."""
    clock = ("seconds", "samples_per_s")
    return [{k: v for k, v in row.items() if k not in clock} for row in run.rows()]


def weights(run: Run, stage: str = "toy") -> dict[str, Tensor]:
    return state.Checkpoints(run.state / stage).load_final()


def _slow_writes() -> None:
    """Files grow in halves with a pause between, and every flush takes a while."""
    save, fsync = state.save_file, os.fsync

    def halves(tensors: dict[str, Tensor], path: Path) -> None:
        save(tensors, path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        time.sleep(0.01)
        path.write_bytes(data)

    def slow(handle: int) -> None:
        time.sleep(0.003)
        fsync(handle)

    state.save_file = halves  # pyright: ignore[reportAttributeAccessIssue]
    os.fsync = slow


def train_in_child(path: Path) -> int:
    """Fork a process that trains the run in `path`, new or not; its id once it has begun."""
    begun, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        os.read(begun, 1)
        os.close(begun)
        return pid

    def on_event(event: Event) -> None:
        if isinstance(event, Started):
            os.write(tell, b"!")

    code = 1
    try:
        _slow_writes()
        run = Run.open(path)
        settings = FitSettings(warmup=4, log_every=2, checkpoint_every=3, evaluate_every=10)
        fit(Toy(steps=60, noise=0.1), settings, run, Accelerator(cpu=True), on_event)
        code = 0
    finally:
        os._exit(code)


def kill_and_resume(path: Path, times: int) -> dict[str, int]:
    """Kill a training `times` times at random moments, then let it end."""
    moments = random.Random(0)
    found = {"killed": 0, "drafts": 0}
    for _ in range(times):
        pid = train_in_child(path)
        time.sleep(moments.uniform(0.02, 0.4))
        os.kill(pid, signal.SIGKILL)
        found["killed"] += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        found["drafts"] += any(path.glob("state/toy/.draft-*"))
    found["exit"] = os.waitpid(train_in_child(path), 0)[1]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(kill_and_resume(Path(sys.argv[1]), int(sys.argv[2]))))
