"""How StyleGAN-V's training goes: clips of fixed seeds, held against real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...media.clip import Clip
from ..exam import Exam as Shared
from ..layers.excerpts import length
from ..layers.lessons import lesson_rng
from ..layers.pixels import to_frames
from .videos import anchors_within, made

if TYPE_CHECKING:
    from ...data import Source
    from .model import Model

AT_ONCE = 8  # clips that are made by one call


class Exam(Shared):
    """The same clips each time, in seed and moments."""

    def __init__(self, model: Model, source: Source, seed: int) -> None:
        super().__init__(source)
        self.model, self.seed = model, seed

    @property
    def moments(self) -> np.ndarray:
        """Where clips are looked at, in frames from their first: (T,)."""
        return np.linspace(0, self.model.config.longest_span, self.looks)

    @property
    def fps(self) -> float:
        """Moments a second."""
        span = self.model.config.longest_span / self.model.config.fps
        return (len(self.moments) - 1) / span

    def made(self) -> list[Clip]:
        """A clip of each seed."""
        config = self.model.config
        device = next(self.model.generator.parameters()).device
        clips: list[Clip] = []
        for start in range(0, self.count, AT_ONCE):
            rows = [
                self._drawn(number) for number in range(start, min(start + AT_ONCE, self.count))
            ]
            told = {
                name: torch.from_numpy(np.stack([row[name] for row in rows])).to(device)
                for name in rows[0]
            }
            label = None
            if config.classes:
                label = torch.nn.functional.one_hot(told["label"], len(config.classes)).float()
            videos, _ = made(self.model.generator, told["z"], told["noise"], told["moments"], label)
            clips += [Clip(frames, self.fps) for frames in to_frames((videos.float() + 1) / 2)]
        return clips

    def _drawn(self, number: int) -> dict[str, Any]:
        rng = lesson_rng(self.seed, "adversarial/evaluate", 0, number)
        config = self.model.config
        anchors = anchors_within(config.longest_span, config)
        label = int(rng.integers(max(1, len(config.classes))))
        return {
            "z": rng.standard_normal(config.latent, np.float32),
            "noise": rng.standard_normal((anchors, config.latent), np.float32),
            "moments": self.moments.astype(np.float32),
            "label": np.int64(label),
        }

    def _excerpt(self, number: int) -> Clip:
        config, rng = self.model.config, lesson_rng(self.seed, "adversarial/real", 0, number)
        index = self.clip_of(number)
        spare = max(0, length(self.source, index, config.fps) - 1 - config.longest_span)
        times = (rng.random() * spare + self.moments) / config.fps
        return Clip(self.source.frames(index, times, (config.side, config.side))[0], self.fps)
