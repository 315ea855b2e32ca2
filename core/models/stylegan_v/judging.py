"""How a training goes: clips of fixed seeds, held against real ones."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import MissingCapability
from ...media.clip import Clip
from ..frechet import frechet_distance
from ..layers.adversarial import DISTANCE, SPREAD
from ..layers.lessons import lesson_rng
from ..layers.pixels import to_frames
from ..recognizer.judge import load_judge
from .moments import length
from .videos import anchors_within, made

if TYPE_CHECKING:
    from ...data import Source
    from ..package import Loaded
    from .model import Model

FEWEST, MOST = 16, 128  # clips, as many as the data have between these
SHOWN = 8  # on the sheet
AT_ONCE = 8  # clips that are made by one call
MOMENTS = 9  # of a clip, where no recognizer says at how many it looks


class Exam:
    """The same clips each time, in seed and moments. missing: what cannot be measured here, and
    why; "" where all can."""

    def __init__(self, model: Model, source: Source, seed: int) -> None:
        self.model, self.source, self.seed = model, source, seed
        self.count = min(MOST, max(FEWEST, len(source)))
        self.judge: Any = None
        self.missing = ""
        try:
            self.judge = self._judge().model
        except MissingCapability as error:
            self.missing = f"no distance to real clips is measured: {error.message}"

    def _judge(self) -> Loaded:
        """The recognizer of the world that is learnt; of other data any features tell how far."""
        try:
            return load_judge(self.source.name)
        except MissingCapability:
            return load_judge()

    def taken(self) -> tuple[dict[str, float], list[Clip] | None]:
        """The Fréchet distance on the recognizer's features, the made clips' variety as a share of
        the real ones', and clips for a sheet. All on the main process."""
        clips = self.made()
        real = self._real
        found = {SPREAD: variety(clips) / max(1e-6, real[1])}
        if self.judge is not None:
            distance = frechet_distance(self._features(clips), real[0]).distance
            found = {DISTANCE: distance} | found
        return found, clips[:SHOWN]

    @property
    def moments(self) -> np.ndarray:
        """Where clips are looked at, in frames from their first: (T,)."""
        count = self.judge.config.frames if self.judge is not None else MOMENTS
        return np.linspace(0, self.model.config.longest_span, count)

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

    @cached_property
    def _real(self) -> tuple[np.ndarray, float]:
        """Features and variety of real clips, an excerpt of each or of several each."""
        clips = [self._excerpt(number) for number in range(self.count)]
        return self._features(clips), variety(clips)

    def _excerpt(self, number: int) -> Clip:
        config, rng = self.model.config, lesson_rng(self.seed, "adversarial/real", 0, number)
        index = number * len(self.source) // self.count
        spare = max(0, length(self.source, index, config.fps) - 1 - config.longest_span)
        times = (rng.random() * spare + self.moments) / config.fps
        return Clip(self.source.frames(index, times, (config.side, config.side))[0], self.fps)

    def _features(self, clips: list[Clip]) -> np.ndarray:
        """(clips, D), none where there is no recognizer."""
        if self.judge is None:
            return np.empty((len(clips), 0))
        parts = [self.judge.features(clips[i : i + 16]) for i in range(0, len(clips), 16)]
        return torch.cat(parts).cpu().double().numpy()


def variety(clips: list[Clip]) -> float:
    """The mean deviation of a pixel over the clips' first frames, of 255."""
    first: Tensor = torch.from_numpy(np.stack([clip.frames[0] for clip in clips])).float()
    return float(first.std(0).mean())
