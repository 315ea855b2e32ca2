"""Whether a device learns: small trainings, begun as on the CPU."""

import math
from collections.abc import Sequence
from dataclasses import replace

from dln.core.errors import DlnError

from .lesson import SIZES, Lesson, drawn, learn
from .outcome import Found, Job

FALLS_TO = 0.7  # of its first loss, at most
ALIKE = 5e-3  # of the loss at the first step, on another device: TF32 is finer
BASE = "train-cpu"


def learnt(job: Job, device: str) -> Found:
    """Each kind of layer on the device; its own precision too, where that is another."""
    data, numbers = drawn(job.folder / "pictures"), {}
    for model in SIZES:
        asked = Lesson(model, data, str(job.folder / f"{model}-{device}"), device)
        losses = falling(learn(asked), f"{model} on {device}")
        if known := job.before.get(BASE):
            begun_alike(losses[0], known[model]["losses"][0], f"{model} on {device}")
        numbers[model] = {"losses": losses}
        if device == "cuda":
            own = replace(asked, out=f"{asked.out}-own", precision=None)
            falling(learn(own), f"{model} on {device} in its own precision")
    told = (f"{model}'s loss from {rows['losses'][0]:.2f} to {rows['losses'][-1]:.2f}"
            for model, rows in numbers.items())  # fmt: skip
    return Found(", ".join(told), numbers)


def falling(losses: Sequence[float], what: str) -> list[float]:
    """The losses. DlnError where they are no numbers, or the last is not much less."""
    if not losses or not all(map(math.isfinite, losses)):
        raise DlnError(f"{what}: the losses are {rounded(losses)}, no numbers that fall")
    if losses[-1] > FALLS_TO * losses[0]:
        raise DlnError(f"{what} does not learn: the losses are {rounded(losses)}")
    return list(losses)


def begun_alike(loss: float, expected: float, what: str) -> None:
    """DlnError where the first step computes something else than on the CPU."""
    if abs(loss - expected) > ALIKE * abs(expected):
        raise DlnError(f"{what}: the first loss is {loss:.5g}, on the CPU {expected:.5g}")


def rounded(losses: Sequence[float]) -> str:
    return ", ".join(f"{loss:.3g}" for loss in losses) or "none"
