"""Made videos of both sizes in training, and how they and real ones are shown to those that judge.

2206.03429, appendix: small videos are cut out at a random moment; large ones are made of small
frames that were moved and strewn with noise a little; the small frames beside them are seldom seen.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.adversarial import Controller, Running
from ..layers.augmentation import augment
from ..layers.precision import full_precision
from ..layers.video_augmentation import changed_alike
from .config import CONTEXT

if TYPE_CHECKING:
    from .low_generator import Generator as LowGenerator
    from .model import Model

# Whose turn draws what: its own latents, and the numbers of what is changed as it is shown.
FOOLING, TELLING, TRUE, SLOPE = range(4)
SEEN = 0.1  # how often small frames are seen beside large ones
NOISE = 0.08  # deviation of what lies on small frames that are disturbed
MOVE = 0.008  # deviation of scale and stretch (log2), turn (of a half one) and shift (of the width)

# It touches another number of samples at each step: nothing that one compiles.
augmented: Any = torch.compiler.disable(augment)


class Making(nn.Module, ABC):
    """One generator and what it learns against. A batch is one of its stage's `collate`."""

    generator: Any
    discriminator: Any
    controller: Any = None  # of augmentation, where it adapts
    real: str  # the batch's real videos

    @abstractmethod
    def made(self, batch: dict[str, Tensor], turn: int) -> Tensor:
        """Videos (B, T, 3, H, W), as drawn for this turn."""

    @abstractmethod
    def judged(self, videos: Tensor, batch: dict[str, Tensor], turn: int) -> Tensor:
        """videos: (B, T, 3, H, W), made or real -> logits (B,), of what is shown of them."""


class LowMaking(Making):
    """Of small videos."""

    real = "real"

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.generator, self.discriminator = model.low_generator, model.low_discriminator
        self.frames = model.config.frames

    def made(self, batch: dict[str, Tensor], turn: int) -> Tensor:
        """Videos (B, frames, 3, h, w), as drawn for this turn."""
        videos = self.generator.synthesis(styled(self.generator, batch["noise"][:, turn]))
        return excerpt(videos, batch["shift"][:, turn], self.frames)

    def judged(self, videos: Tensor, batch: dict[str, Tensor], turn: int) -> Tensor:
        """videos: (B, frames, 3, h, w), made or real -> logits (B,), of what is shown of them."""
        return self.discriminator(changed_alike(videos, batch["uniform"][:, turn]))


def _styled(generator: LowGenerator, noise: Tensor) -> Tensor:
    """noise: (B, N, coded(T) + reach) -> styles (B, W, coded(T)), to the last digit."""
    with full_precision(noise):
        return generator.latent_mapping(generator.bank(noise))


styled: Any = torch.compiler.disable(_styled)  # Fourier transforms are nothing that one compiles


def excerpt(videos: Tensor, firsts: Tensor, frames: int) -> Tensor:
    """videos: (B, T, ...), firsts: (B,) -> (B, frames, ...), those of each from its first on."""
    rows = torch.arange(len(videos), device=videos.device)[:, None]
    return videos[rows, firsts[:, None] + torch.arange(frames, device=videos.device)]


class SuperMaking(Making):
    """Of large frames."""

    real = "large"

    def __init__(self, model: Model, controller: Controller, styles: Running) -> None:
        super().__init__()
        self.generator, self.discriminator = model.super_generator, model.super_discriminator
        self.controller, self.styles = controller, styles

    def made(self, batch: dict[str, Tensor], turn: int) -> Tensor:
        """Videos (B, PAIRS, 3, H, W), as drawn for this turn."""
        small, moves, noise = centred(batch["small"]), batch["moves"], batch["noise"]
        small = disturbed(small, moves[:, turn], noise[:, turn])
        with full_precision(small):
            w = self.generator.SG3.mapping(batch["z"][:, turn])
        if turn == FOOLING:
            self.styles.heed(w)
        return self.generator.SG3.synthesis(small, w)

    def judged(self, videos: Tensor, batch: dict[str, Tensor], turn: int) -> Tensor:
        """videos: (B, PAIRS, 3, H, W), made or real -> logits (B,), of what is shown of them."""
        small = centred(batch["small"][:, CONTEXT:-CONTEXT])
        frames = self.discriminator.shown(small, videos.float())
        if self.controller.active:
            uniform = batch["uniform"][:, turn]
            frames = augmented(frames, uniform, self.controller.probability)
        seen = (batch["seen"][:, turn] < SEEN).to(frames.dtype)
        small, large = frames.chunk(2, 1)
        frames = torch.cat([small * seen.view(-1, 1, 1, 1, 1), large], 1)
        return self.discriminator.judged(frames)


def centred(frames: Tensor) -> Tensor:
    """uint8 (B, T, H, W, 3) -> (B, T, 3, H, W) in -1 ... 1."""
    return frames.movedim(-1, 2).float() / 127.5 - 1


def disturbed(small: Tensor, moves: Tensor, noise: Tensor) -> Tensor:
    """small: (B, T, 3, h, w), moves: (B, 6) and noise as small, normal -> small, or of every other
    video, as the first of its moves says, all frames moved alike and noisy."""
    changed = (moves[:, 0] < 0).view(-1, 1, 1, 1, 1)
    return torch.where(changed, moved(small, moves[:, 1:]) + NOISE * noise, small)


def moved(x: Tensor, numbers: Tensor) -> Tensor:
    """x: (B, T, 3, h, w), numbers: (B, 5), normal -> x scaled, stretched, turned and shifted about
    its middle by small amounts; its border goes on."""
    scale, stretch, turn = (MOVE * numbers[:, :3]).T
    cos, sin = torch.cos(math.pi * turn), torch.sin(math.pi * turn)
    wide, high = 2 ** (scale + stretch), 2 ** (scale - stretch)
    height, width = x.shape[-2:]
    along = torch.stack([wide * cos, -wide * sin * height / width, 2 * MOVE * numbers[:, 3]], 1)
    down = torch.stack(
        [high * sin * width / height, high * cos, 2 * MOVE * numbers[:, 4] * width / height], 1
    )
    flat = x.flatten(1, 2)
    places = F.affine_grid(torch.stack([along, down], 1), list(flat.shape), align_corners=False)
    return F.grid_sample(flat, places, "bicubic", "border", align_corners=False).view_as(x)
