"""What a step of StyleGAN-V's training learns from: excerpts of real clips, and every number that
its turns draw beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...data.reader import Reader
from ...training.events import OnEvent
from ..layers.augmentation import DRAWS
from ..layers.excerpts import length, watched
from ..layers.lessons import lesson_rng
from ..layers.strips import strips_table
from .config import FRAMES
from .moments import CHOICES, drawn_moments
from .videos import anchors_within

if TYPE_CHECKING:
    from ...data import Source
    from .config import Config

TURNS = 2  # that make videos of their own
AUGMENTED = 4  # that show videos
# Even numbers of one lesson: its moments, whether it is mirrored, augmentations, made videos.
EVEN = (CHOICES, 1, AUGMENTED * DRAWS, TURNS * (1 + CHOICES))


class Lessons:
    """A lesson's numbers hang on nothing but its sample, so that any number of processes learn the
    same."""

    def __init__(self, config: Config, source: Source, seed: int, name: str) -> None:
        """name: of the stage that the numbers are drawn for."""
        self.config, self.seed, self.name = config, seed, name
        self.source = watched(source, config.fps, config.longest_span)
        self.drawn = self.source is not source
        self.anchors = anchors_within(config.longest_span, config)
        self.table: np.ndarray | None = None

    def __len__(self) -> int:
        return min(len(self.source), self.config.clips) if self.drawn else len(self.source)

    def prepare(self, cache: Path, workers: int, on_event: OnEvent) -> None:
        """Frames that would be drawn whenever they are looked at are drawn once, where the disk has
        room for them."""
        if not self.drawn:
            return
        side, fps = self.config.side, self.config.fps
        frames = length(self.source, 0, fps)
        table = strips_table(self.source, len(self), frames, fps, side, cache, workers, on_event)
        self.table = None if isinstance(table, Reader) else table

    def batch(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """As `Stage.collate`."""
        config, count = self.config, len(indices)
        rngs = [lesson_rng(self.seed, self.name, epoch, int(index)) for index in indices]
        numbers = np.stack([rng.random(sum(EVEN)) for rng in rngs])
        shape = (TURNS, 1 + self.anchors, config.latent)
        normal = np.stack([rng.standard_normal(shape, np.float32) for rng in rngs])
        choices, mirror, uniform, wishes = np.split(numbers, np.cumsum(EVEN[:-1]), axis=1)
        times = drawn_moments(self._lengths(indices), config.longest_span, choices)
        others, moments = self._wishes(wishes.reshape(count * TURNS, -1))
        moments = moments.reshape(count, TURNS, FRAMES)
        batch = {
            "real": self._real(indices, times, mirror[:, 0]),
            "times": times,
            "label": self._labels(indices),
            "uniform": uniform.reshape(count, AUGMENTED, DRAWS).astype(np.float32),
            "z": normal[:, :, 0],
            "noise": normal[:, :, 1:],
            "moments": moments,
            "wanted": self._labels(others).reshape(count, TURNS),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(row)) for name, row in batch.items()}

    def _real(self, indices: np.ndarray, times: np.ndarray, mirror: np.ndarray) -> np.ndarray:
        """(N, FRAMES, S, S, 3)."""
        config = self.config
        if self.table is not None:
            frames = self.table[indices[:, None], times.astype(np.int64)]
        else:
            size = (config.side, config.side)
            pairs = zip(indices, times, strict=True)
            frames = np.stack(
                [self.source.frames(int(i), t / config.fps, size)[0] for i, t in pairs]
            )
        if self.source.flips:
            turned = mirror < 0.5
            frames[turned] = frames[turned, :, :, ::-1]
        return frames

    def _wishes(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 1 + CHOICES) -> which clips' class and length made videos have (N,), and their
        moments (N, FRAMES)."""
        others = (numbers[:, 0] * len(self)).astype(np.int64)
        lengths = self._lengths(others)
        moments = drawn_moments(lengths, self.config.longest_span, numbers[:, 1:], whole=False)
        return others, moments

    def _lengths(self, indices: np.ndarray) -> np.ndarray:
        return np.array([length(self.source, int(i), self.config.fps) for i in indices])

    def _labels(self, indices: np.ndarray) -> np.ndarray:
        if not self.config.classes:
            return np.zeros(len(indices), np.int64)
        return np.array([self.source.label(int(index)) for index in indices], np.int64)
