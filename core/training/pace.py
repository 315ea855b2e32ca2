"""How a training keeps to a schedule: it waits between two steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from ..carbon.plan.threshold import Schedule

_NAP = 0.5  # seconds between two looks at the clock and at the signals


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Pace:
    """How a training keeps to its schedule.

    leave: end the process with exit code 75 instead of sleeping in it. on_change: told True when
    the run goes on and False when it waits.
    """

    schedule: Schedule
    leave: bool = False
    on_change: Callable[[bool], None] = lambda running: None
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def waits(self) -> bool:
        """Whether the run has to wait now."""
        return not self.schedule.running(self.now())

    def wait(self, stopped: Callable[[], bool]) -> None:
        """Sleep until the schedule lets the run go on, or until `stopped`."""
        self.on_change(False)
        while self.waits() and not stopped():
            self.sleep(_NAP)
        self.on_change(True)


@contextmanager
def parked(modules: nn.Module, tables: list[dict[Any, Any]]) -> Iterator[None]:
    """Inside the context parameters, buffers and the tensors of `tables` lie in the host's
    memory, so that the accelerator's is free; afterwards each is where it was."""
    held = [t for t in (*modules.parameters(), *modules.buffers()) if t.device.type != "cpu"]
    homes = [(tensor, tensor.device) for tensor in held]
    places = [
        (table, name, value.device)
        for table in tables
        for name, value in table.items()
        if isinstance(value, Tensor) and value.device.type != "cpu"
    ]
    for tensor, _ in homes:
        tensor.grad, tensor.data = None, tensor.data.cpu()
    for table, name, _ in places:
        table[name] = table[name].cpu()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    yield
    for tensor, device in homes:
        tensor.data = tensor.data.to(device)
    for table, name, device in places:
        table[name] = table[name].to(device)
