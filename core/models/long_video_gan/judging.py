"""How LongVideoGAN's trainings go: clips of fixed seeds, held against real ones."""

from __future__ import annotations

from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...media.clip import Clip
from ..exam import Exam
from ..layers.excerpts import length
from ..layers.lessons import lesson_rng
from ..layers.pixels import to_frames
from .config import CONTEXT
from .lessons import shrunk
from .making import centred, styled
from .moments import begins
from .windows import SCALE, coded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...data import Source
    from .model import Model

AT_ONCE = 4  # clips that are made by one call


class LowExam(Exam):
    """Of small videos: as many frames as are judged at once, of which some are looked at."""

    def __init__(self, model: Model, source: Source, seed: int) -> None:
        super().__init__(source)
        self.model, self.config, self.seed = model, model.config, seed

    @property
    def moments(self) -> np.ndarray:
        """The frames that are looked at: int64 (T,)."""
        return np.linspace(0, self.config.frames - 1, self.looks).round().astype(np.int64)

    @property
    def fps(self) -> float:
        """Such frames a second."""
        return (self.looks - 1) * self.config.fps / (self.config.frames - 1)

    def made(self) -> list[Clip]:
        """A clip of each seed."""
        generator, moments = self.model.low_generator, torch.from_numpy(self.moments)
        frames = SCALE * ceil(self.config.frames / SCALE)
        shape = self.config.noise_channels, coded(frames) + generator.bank.reach
        clips: list[Clip] = []
        for numbers in in_turn(self.count):
            rngs = [lesson_rng(self.seed, "low/evaluate", 0, number) for number in numbers]
            noise = np.stack([rng.standard_normal(shape, np.float32) for rng in rngs])
            styles = styled(generator, on_device(noise, generator))
            clips += clips_of(generator.synthesis(styles, frames)[:, moments], self.fps)
        return clips

    def _excerpt(self, number: int) -> Clip:
        config, rng = self.config, lesson_rng(self.seed, "low/real", 0, number)
        index = self.clip_of(number)
        room = np.array([length(self.source, index, config.fps)])
        first = begins(room, config.frames, rng.random(1))
        size = (config.height, config.width)
        frames, _ = self.source.frames(index, (first + self.moments) / config.fps, size)
        return Clip(shrunk(frames, config.scale), self.fps)


class SuperExam(Exam):
    """Of large frames: successive ones, made of real small ones. (They take long, and hang on these
    so much that fewer clips tell.)"""

    most = 48

    def __init__(self, model: Model, source: Source, seed: int) -> None:
        super().__init__(source)
        self.model, self.config, self.seed = model, model.config, seed

    def made(self) -> list[Clip]:
        """A clip of each seed."""
        generator, clips = self.model.super_generator, list[Clip]()
        for numbers in in_turn(self.count):
            rngs = [lesson_rng(self.seed, "super/evaluate", 0, number) for number in numbers]
            z = np.stack([rng.standard_normal(self.config.latent, np.float32) for rng in rngs])
            small = shrunk(self._large[numbers.start : numbers.stop], self.config.scale)
            videos = generator(centred(on_device(small, generator)), on_device(z, generator))
            clips += clips_of(videos, self.config.fps)
        return clips

    def _excerpt(self, number: int) -> Clip:
        return Clip(self._large[number, CONTEXT:-CONTEXT], self.config.fps)

    @cached_property
    def _large(self) -> np.ndarray:
        """uint8 (count, looks + 2 CONTEXT, H, W, 3), of real clips."""
        config, frames = self.config, self.looks + 2 * CONTEXT
        size, found = (config.height, config.width), []
        for number in range(self.count):
            rng, index = lesson_rng(self.seed, "super/real", 0, number), self.clip_of(number)
            room = np.array([length(self.source, index, config.fps)])
            times = (begins(room, frames, rng.random(1)) + np.arange(frames)) / config.fps
            found.append(self.source.frames(index, times, size)[0])
        return np.stack(found)


def in_turn(count: int) -> Iterator[range]:
    """0 ... count - 1, a few at once."""
    return (range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE))


def on_device(array: np.ndarray, network: torch.nn.Module) -> Tensor:
    """Where a network's weights are."""
    return torch.from_numpy(array).to(next(network.parameters()).device)


def clips_of(videos: Tensor, fps: float) -> list[Clip]:
    """videos: (B, T, 3, H, W) in about -1 ... 1."""
    return [Clip(frames, fps) for frames in to_frames((videos.float() + 1) / 2)]
