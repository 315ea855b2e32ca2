"""A small classifier with two heads for the tests of SAM, SAF and MESA; as a script it is what
the fault tests kill and `accelerate launch` starts."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch._dynamo
from accelerate import Accelerator
from torch import Tensor, nn

from dln.core.training.accelerator import create_accelerator
from dln.core.training.events import Event, Started, silent
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.sharpness import Sharpness
from dln.core.training.stage import Player, Stage

HEADS = (3, 4)
SAF = Sharpness("saf", start=1, lag=2)
SETTINGS = FitSettings(warmup=4, log_every=1, checkpoint_seconds=None, ema_decay=0.0)


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
        objective = Objective(network)
        self.players = [Player("classes", objective, own, learning_rate, optimizer="sgd")]
        self.x = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
        self.labels = torch.stack([self.x.argmax(1) % 3, self.x.argmin(1)], dim=1)

    def __len__(self) -> int:
        return 40

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return {"x": self.x[indices], "labels": self.labels[indices]}


def settings(chosen: Sharpness, **changes) -> FitSettings:
    return FitSettings(**{**vars(SETTINGS), "sharpness": chosen, **changes})


def child(path: Path) -> int:
    """Fork a training of the run in `path`; its process once it has begun."""
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

    class Slow(Classes):
        def after_step(self, step: int, reduce) -> None:
            time.sleep(0.01)

    code = 1
    try:
        chosen = settings(SAF, checkpoint_every=7)
        fit(Slow(60), chosen, Run.open(path), Accelerator(cpu=True), on_event)
        code = 0
    finally:
        os._exit(code)


def kill_and_resume(path: Path, times: int) -> None:
    """Kill a SAF training at random moments, then let it end; beside it one that is not killed."""
    moments = random.Random(0)
    for _ in range(times):
        pid = child(path)
        time.sleep(moments.uniform(0.1, 0.5))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    whole = Run.create(path.with_name("whole"), {"model": "toy"})
    codes = [os.waitpid(child(run), 0)[1] for run in (path, whole.path)]
    sys.exit(any(codes))


def together(path: Path) -> None:
    """Train the run in `path` on all processes."""
    accelerator = create_accelerator("cpu")
    fit(Classes(), settings(SAF), Run.open(path), accelerator, silent)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "kill":
        kill_and_resume(Path(sys.argv[2]), 4)
    together(Path(sys.argv[2]))
