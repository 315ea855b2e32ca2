"""A few steps of a stage, before its training, for the time that they take: nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..threads import cores
from ..training.run import Run
from ..training.sharpness import Sharpness
from ..training.speed import waiter
from ..training.stage import evaluating
from ..training.team import Diverged, Team

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from accelerate import Accelerator

    from ..training.batches import Batch
    from ..training.settings import FitSettings
    from ..training.stage import Stage

STEP_S = 1.0  # that a step may take; a larger batch is tried in part
SLOW_S = 3.0  # of the least part; from there on one step is all that is tried
OFTEN = 3  # steps that are timed
SHARE = 0.25  # of an evaluation that is tried


@dataclass(frozen=True)
class Rehearsal:
    """step_s: seconds of a step with the whole batch, of its players and what follows; read_s: to
    put its batch together; samples: with which that was tried. evaluation_s: of the first one and
    of each later, None where that was not tried. activation_bytes: a sample, that the
    backward pass needs."""

    step_s: float
    read_s: float
    samples: int
    evaluation_s: tuple[float, float] | None
    activation_bytes: float

    @property
    def seconds(self) -> float:
        """A step in training: its batch is put together meanwhile, where a core is free for it."""
        if torch.get_num_threads() < cores():
            return max(self.step_s, self.read_s)
        return self.step_s + self.read_s


def rehearse(
    stage: Stage, settings: FitSettings, accelerator: Accelerator, evaluations: int
) -> Rehearsal | None:
    """Try the stage, which is prepared, on parts of its batch; None where its numbers are not
    finite. evaluations: how many there will be, 0 where none is to be tried. SAF and MESA, which
    begin after some epochs, and torch.compile are left out."""
    try:
        return _Trial(stage, settings, accelerator).run(evaluations)
    except Diverged:
        return None


@dataclass(frozen=True)
class _Seconds:
    """Of a step: those that grow with its samples, and those of optimisers and averages."""

    samples: float = 0.0
    weights: float = 0.0

    def and_also(self, samples: float, weights: float, every: int = 1) -> _Seconds:
        return _Seconds(self.samples + samples / every, self.weights + weights / every)

    def whole(self, times: float = 1.0) -> float:
        """With so many times the samples."""
        return self.samples * times + self.weights


class _Trial:
    def __init__(self, stage: Stage, settings: FitSettings, accelerator: Accelerator) -> None:
        chosen = Sharpness() if settings.sharpness.tracks else settings.sharpness
        plain = replace(settings, compile=False, sharpness=chosen)
        self.stage, self.device = stage, accelerator.device
        self.team = Team(stage, plain, Run(Path(), {}), accelerator)
        self.micro = stage.batch // settings.accumulate // accelerator.num_processes
        self.wait = waiter(str(accelerator.device))

    def run(self, evaluations: int) -> Rehearsal:
        unit = min(self.micro, self.stage.together(self.stage.batch))
        few = self.batch(unit)
        weights = (p for each in self.team.learners for p in each.parameters)
        with saved_bytes(weights) as saved:
            begun = time.perf_counter()
            step = self.turns(0, few, saved.next)
            whole = time.perf_counter() - begun
        activations = saved.most / unit
        if whole > SLOW_S:
            return Rehearsal(step.whole(self.stage.batch / unit), 0.0, unit, None, activations)
        whole = self.spent(lambda: self.turns(0, few))
        samples = self.micro
        if whole * self.micro > STEP_S * unit:
            samples = unit * max(1, int(STEP_S / whole))
        batch = few if samples == unit else self.batch(samples)
        rate = self.stage.batch / samples
        read = rate * self.spent(lambda: self.batch(samples))
        step = sum(share * self.phase(at, batch).whole(rate) for at, share in self.phases())
        tried = self.evaluation(evaluations) if evaluations else None
        return Rehearsal(step, read, samples, tried, activations)

    def spent(self, call: Callable[[], Any]) -> float:
        """Seconds until the device has done it."""
        self.wait()
        begun = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - begun

    def batch(self, samples: int) -> Batch:
        batch = self.stage.collate(np.arange(samples) % len(self.stage), 0)
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def phases(self) -> list[tuple[int, float]]:
        """A step of each phase, and the phase's share of the steps."""
        begins, steps = list(self.stage.phases), self.stage.steps
        shares = np.diff([*begins, 1.0]).tolist()
        places = [min(steps - 1, ceil(begin * steps) + 1) if begin else 0 for begin in begins]
        return list(zip(places, shares, strict=True))

    def phase(self, step: int, batch: Batch) -> _Seconds:
        """A step of this phase, the middle of several after one that begins it."""
        first = self.turns(step, batch)
        often = OFTEN if first.whole() < STEP_S else 1
        if often == 1 and not step:
            return first
        found = sorted((self.turns(step, batch) for _ in range(often)), key=_Seconds.whole)
        return found[often // 2]

    def turns(self, step: int, batch: Batch, after: Callable[[], Any] = lambda: None) -> _Seconds:
        """All turns, each by how often it comes, and what follows from them. after: is called
        after each backward pass."""
        total = _Seconds()
        for learner in self.team.learners:
            for prepared in learner.turns:
                if step >= prepared.turn.after:
                    turn, pieces = (
                        self.team.take_turn(learner, prepared, step, [batch]),
                        list[Any](),
                    )
                    took = self.spent(lambda turn=turn, p=pieces: p.extend(after() for _ in turn))
                    moved = self.spent(lambda own=learner: own.step(step, self.stage.steps))
                    moved = min(took, moved * len(pieces))
                    total = total.and_also(took - moved, moved, prepared.turn.every)
        return total.and_also(0.0, self.spent(lambda: self.follow(step)))

    def follow(self, step: int) -> None:
        self.team.after_step(step)
        self.stage.after_step(step + 1, _alone)

    def evaluation(self, count: int) -> tuple[float, float]:
        """Seconds of the first evaluation and of each later one, by a part of each."""
        self.stage.share = SHARE
        with self.team.averaged(), evaluating(self.stage.modules):
            first = self.spent(self.stage.evaluate)
            again = count > 1 and first < SLOW_S
            later = self.spent(self.stage.evaluate) if again else first
        return first / SHARE, later / SHARE


def _alone(tensor: Tensor) -> Tensor:
    """The sum over the one process that tries."""
    return tensor


class _Saved:
    """The bytes of the tensors that a backward pass needs, each storage once, at the most."""

    def __init__(self, weights: set[int]) -> None:
        self.weights, self.most = weights, 0
        self.next()

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if not (storage._cdata in self.weights or storage._cdata in self.now):
            self.now.add(storage._cdata)
            self.bytes += storage.nbytes()
            self.most = max(self.most, self.bytes)
        return tensor

    def next(self) -> None:
        """One backward pass is over."""
        self.now: set[int] = set()
        self.bytes = 0


@contextmanager
def saved_bytes(weights: Iterable[Tensor]) -> Iterator[_Saved]:
    """Count what backward passes keep beside the weights."""
    found = _Saved({weight.untyped_storage()._cdata for weight in weights})
    with torch.autograd.graph.saved_tensors_hooks(found.keep, lambda tensor: tensor):
        yield found
