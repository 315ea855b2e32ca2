"""The latent of a picture: gradient descent in w from the mean, with noise that dies away.

StyleGAN2 (1912.04958, appendix D). What is compared are colours and edges at several scales, which
need no network; a pull towards the mean keeps w where the generator has learnt to move it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...progress import OnProgress, counted
from ..engine import Differentiable

if TYPE_CHECKING:
    from .model import Model

DRAWN, AT_ONCE = 1024, 64  # styles that tell how far they spread
RATE = 0.2  # in standard deviations of w
RISE, FALL = 0.05, 0.25  # shares of the steps in which the rate goes up, and down
NOISY = 0.75  # share of the steps that are disturbed
COARSEST = 8  # pixels a side
EDGES, MEAN = 1.0, 1e-4  # weights beside that of colours
BEYOND = 0.05  # weight of what lies outside the range of pixels


def project(
    engine: Differentiable,
    model: Model,
    target: Tensor,
    motion: Tensor,
    rng: np.random.Generator,
    steps: int,
    on_progress: OnProgress,
    label: dict[str, Tensor],
) -> Tensor:
    """target: (3, side, side) in [0, 1], motion: (1, Z), that of the moment which it shall be;
    label: an input of the mapping -> w (1, Z). All noise is drawn from `rng`."""
    mean = model.generator.mapping.w_avg.cpu()[None]
    spread = spread_of_styles(engine, mean, rng, label)
    wanted = features(target[None])
    place = torch.zeros_like(mean, requires_grad=True)  # in standard deviations from the mean
    optimizer = torch.optim.Adam([place], lr=RATE)
    tell = counted(on_progress, steps, "steps")
    least, best = math.inf, mean
    for step in range(steps):
        done = step / steps
        optimizer.param_groups[0]["lr"] = RATE * rate_at(done)
        noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
        here = place.detach() + max(0.0, 1 - done / NOISY) ** 2 * noise
        w = mean + spread * here
        losses: list[float] = []

        def loss(outputs: dict[str, Tensor], losses: list[float] = losses) -> Tensor:
            found = distance(features(shown(outputs["pixels"])), wanted)
            losses.append(found.item())
            return found

        slope = engine.gradient("synthesis", "w", loss, motion=motion, w=w)[1].cpu()
        if losses[0] < least:
            least, best = losses[0], w
        place.grad = slope * spread + MEAN * place.detach()
        optimizer.step()
        tell()
    return best


def spread_of_styles(
    engine: Differentiable, mean: Tensor, rng: np.random.Generator, label: dict[str, Tensor]
) -> Tensor:
    """The standard deviation of w (1, Z) around the mean, of all numbers of z."""
    squares = torch.zeros_like(mean)
    for _ in range(DRAWN // AT_ONCE):
        z = torch.from_numpy(rng.standard_normal((AT_ONCE, mean.shape[1]), dtype=np.float32))
        given = {name: row.expand(AT_ONCE, -1) for name, row in label.items()}
        w = engine.run("mapping", z=z, **given)["w"].cpu()
        squares += (w - mean).square().sum(0) / DRAWN
    return squares.sqrt()


def rate_at(done: float) -> float:
    """The share of the rate at a share of the steps: up at once, down along half a cosine."""
    fall = min(1.0, (1 - done) / FALL)
    return 0.5 * (1 - math.cos(math.pi * fall)) * min(1.0, done / RISE + RISE)


def shown(pixels: Tensor) -> Tensor:
    """Pixels as a screen shows them, in [0, 1]; what lies beyond is felt a little, so that it has a
    way back."""
    inside = pixels.clamp(0, 1)
    return torch.lerp(inside, pixels, BEYOND)


def features(pictures: Tensor) -> list[Tensor]:
    """(B, 3, S, S) -> colours, and their differences down and across, at each scale."""
    found = []
    while True:
        found += [pictures, EDGES * pictures.diff(dim=2), EDGES * pictures.diff(dim=3)]
        if pictures.shape[2] <= COARSEST:
            return found
        pictures = F.avg_pool2d(pictures, 2)


def distance(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """The mean over all features of their mean squared difference."""
    pairs = zip(ours, theirs, strict=True)
    apart = [F.mse_loss(one, other.to(one.device)) for one, other in pairs]
    return torch.stack(apart).mean()
