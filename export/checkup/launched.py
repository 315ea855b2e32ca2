"""Several processes that train together, against one that trains alone."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from dln.core.errors import DlnError, MissingCapability

from ..process import ending
from .lesson import Lesson, command, drawn, learn
from .outcome import Found, Job

ALIKE = 1e-3  # of a loss: sums are in another order, sixty steps on; a CPU's by 2e-7
MOST = 8
EACH = 8  # pictures of a batch for each process


def together(job: Job, device: str) -> Found:
    """Attention, which knows no batch norm, by two processes or all GPUs, at most MOST."""
    count = 2 if device == "cpu" else gpus()
    data = drawn(job.folder / "pictures")
    alone = Lesson("vit", data, str(job.folder / f"alone-{device}"), device, batch=EACH * count)
    told = job.folder / f"launched-{device}.json"
    expected = learn(alone)
    launched(replace(alone, out=f"{alone.out}-not", told=str(told)), count)
    found = json.loads(told.read_text(encoding="utf-8"))
    # The first is of the first process's own part; means over 20 steps are of all processes.
    gap = apart(expected[1:], found[1:])
    numbers = {"processes": count, "loss_difference": gap}
    what = "processes" if device == "cpu" else "GPUs"
    return Found(f"{count} {what}: losses within {gap:.1e} of one's", numbers)


def gpus() -> int:
    """How many take part. MissingCapability where there is one alone."""
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        raise MissingCapability("one GPU is here", "a machine with several")
    return min(count, MOST)


def apart(expected: Sequence[float], found: Sequence[float]) -> float:
    """The largest difference of the losses, relative. DlnError where it is more than rounding."""
    if len(expected) != len(found):
        raise DlnError(f"together {len(found)} losses were told, alone {len(expected)}")
    gaps = [abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True)]
    if not all(gap <= ALIKE for gap in gaps):  # also where one is no number
        told = ", ".join(f"{gap:.1e}" for gap in gaps)
        raise DlnError(f"losses differ by {told} from those of one process")
    return max(gaps)


def launched(lesson: Lesson, count: int) -> None:
    """As `accelerate launch` would. DlnError where a process fails."""
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
                           "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}  # fmt: skip
    with ExitStack() as stack:
        processes = []
        for rank in range(count):
            own = lesson if rank == 0 else replace(lesson, told=None)
            environment = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(stack.enter_context(subprocess.Popen(
                command(own), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )))  # fmt: skip
        wait(processes)


def wait(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Until all have ended. Where one fails, the others would wait for it: they are ended."""
    running = list(processes)
    while running:
        first = running[0]
        try:
            code = first.wait(0.2)
        except subprocess.TimeoutExpired:
            running.append(running.pop(0))
            continue
        running.pop(0)
        if code:
            for other in running:
                other.kill()
            raise DlnError(f"process {processes.index(first)} of {len(processes)} {ending(code)}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
