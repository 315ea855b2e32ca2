"""What trainings of a generator against a discriminator share.

The non-saturating logistic loss (Goodfellow et al. 2014, 1406.2661), the gradient penalty R1 on
real pictures (Mescheder et al. 2018, 1801.04406) that comes lazily (StyleGAN2, 1912.04958), the
generator's average, the controller of adaptive augmentation (2006.06676), and what tells that a
training has collapsed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

LAZY = 16  # steps from one gradient penalty to the next
RISES = 3  # evaluations in a row that are each worse than the one before
VARIETY = 0.05  # of real pictures', below which all seeds give one image
DISTANCE, SPREAD = "frechet_distance", "variety"  # metrics that a collapse shows in


def fooling(fake: Tensor) -> Tensor:
    """Logits (B,) of made samples -> the generator's loss, -log D."""
    return F.softplus(-fake.float()).mean()


def telling(real: Tensor, fake: Tensor) -> Tensor:
    """Logits (B,) of real and of made samples -> the discriminator's loss, -log D - log (1 - D)."""
    return (F.softplus(-real.float()) + F.softplus(fake.float())).mean()


def squared_slope(logits: Tensor, videos: Tensor) -> Tensor:
    """logits: (B,) computed from videos: (B, T, C, H, W), or pictures (B, C, H, W) -> the squared
    gradient, summed over a frame, averaged over a video's frames and the batch. A scalar to
    differentiate again."""
    (slope,) = torch.autograd.grad(logits.sum(), videos, create_graph=True)
    return slope.float().square().sum((-3, -2, -1)).mean()


def usual_gamma(side: int, batch: int) -> float:
    """R1's weight for pictures of that many pixels a side and samples a step (StyleGAN2-ADA)."""
    return 0.0002 * side**2 / batch


def lazily(
    rate: float, betas: tuple[float, float], every: int
) -> tuple[float, tuple[float, float]]:
    """Adam's learning rate and betas for a player that takes a turn more every `every` steps: as
    if that turn were spread over them (1912.04958, appendix B)."""
    share = every / (every + 1)
    return rate * share, (betas[0] ** share, betas[1] ** share)


@dataclass(frozen=True)
class HalfLife:
    """An average that forgets a half in `samples` shown, or in the share `ramp` of all shown while
    these are fewer; no ramp: from the beginning. batch: samples a step."""

    batch: int
    samples: float
    ramp: float | None = 0.05

    def decay_at(self, step: int) -> float:
        """d of average <- d average + (1 - d) weights, after `step` earlier updates."""
        shown = math.inf if self.ramp is None else self.ramp * step * self.batch
        return 0.5 ** (self.batch / max(1e-8, min(self.samples, shown)))


class Controller:
    """The probability of augmentation: it goes up where the discriminator is surer of real samples
    than `target`, else down, by `step` every `every` steps; where it is just as sure, `even` steps.
    Never below 0 or above `most`, above 1 it is certain."""

    def __init__(
        self,
        step: float,
        target: float = 0.6,
        every: int = 4,
        most: float = math.inf,
        even: int = 0,
    ) -> None:
        self.step, self.target, self.every = step, target, every
        self.most, self.even = most, even
        self.probability, self.signs = torch.zeros(()), torch.zeros(2)
        self.shown: list[Tensor] = []

    @property
    def probability(self) -> Tensor:
        """A scalar on the host."""
        return self._probability

    @probability.setter
    def probability(self, value: Tensor) -> None:
        # What is compiled asks whether anything happens, which takes a number that is known then.
        self._probability, self.active = value, float(value) > 0

    def heed(self, logits: Tensor) -> None:
        """Take in the logits (B,) of real samples, in training."""
        self.shown.append(logits.detach().float())

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        """Gather the signs over the processes; `step` counts the finished ones."""
        logits = torch.cat(self.shown).cpu()
        self.shown.clear()
        own = torch.stack([logits.sign().sum(), torch.tensor(float(len(logits)))])
        self.signs = self.signs + reduce(own)
        if step % self.every == 0:
            surer = self.signs[0] / self.signs[1] - self.target
            way = torch.where(surer == 0, float(self.even), surer.sign())
            self.probability = (self.probability + self.step * way).clamp(0, self.most)
            self.signs = torch.zeros(2)

    def state(self) -> dict[str, Tensor]:
        """What is carried from step to step."""
        return {"probability": self.probability, "signs": self.signs}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        self.probability, self.signs = state["probability"].clone(), state["signs"].clone()


def controller_step(batch: int, kimg: float, every: int = 4) -> float:
    """How far the probability moves at once, so that it may go from 0 to 1 in `kimg` thousand
    samples."""
    return batch * every / (kimg * 1000)


class Running:
    """The mean of w follows what the steps have shown: mean <- 0.995 mean + 0.005 of theirs."""

    def __init__(self, mean: Tensor, keep: float = 0.995) -> None:
        """mean: a buffer (W,), changed in place after each step."""
        self.mean, self.keep = mean, keep
        self.shown: list[Tensor] = []

    def heed(self, w: Tensor) -> None:
        """Take in styles (B, W), in training."""
        self.shown.append(w.detach().float())

    def after_step(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """The same on every process."""
        own = torch.cat(self.shown)
        self.shown.clear()
        count = torch.full_like(own[:1, :1], len(own)).flatten()
        total = reduce(torch.cat([own.sum(0), count]))
        mean = (total[:-1] / total[-1]).to(self.mean)
        self.mean.copy_(torch.lerp(mean, self.mean, self.keep))


def collapsed(history: Sequence[dict[str, float]]) -> str | None:
    """What to say of evaluations, the newest last, that look like a collapse; None: nothing.

    DISTANCE: to real clips; SPREAD: how different seeds' pictures are, as a share of real ones'.
    """
    newest = history[-1]
    if newest.get(SPREAD, 1.0) < VARIETY:
        return "it gives one image for all seeds"
    distances = [row[DISTANCE] for row in history if DISTANCE in row][-RISES - 1 :]
    rises = all(a < b for a, b in pairwise(distances))
    if DISTANCE in newest and len(distances) > RISES and rises:
        told = ", ".join(f"{distance:.4g}" for distance in distances)
        return f"its Frechet distance has risen {RISES} evaluations long: {told}"
    return None
