"""How a training of clips goes: clips of fixed seeds, held against real ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingCapability
from ..media.clip import Clip
from .frechet import frechet_distance
from .layers.adversarial import DISTANCE, SPREAD
from .recognizer.judge import load_judge

if TYPE_CHECKING:
    from ..data import Source
    from .package import Loaded

FEWEST = 16  # clips
SHOWN = 8  # on the sheet
LOOKED_AT = 9  # frames of a clip, where no recognizer says at how many it looks


class Exam(ABC):
    """The same clips each time, at most `most`. missing: what cannot be measured here, and why; ""
    where all can. A subclass makes the clips and cuts excerpts out of real ones."""

    most = 128

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = self.all = min(self.most, max(FEWEST, len(source)))
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

    @abstractmethod
    def made(self) -> list[Clip]:
        """A clip of each seed."""

    @abstractmethod
    def _excerpt(self, number: int) -> Clip:
        """A real clip."""

    @property
    def looks(self) -> int:
        """Frames of a clip that are looked at."""
        return self.judge.config.frames if self.judge is not None else LOOKED_AT

    def taken(self, share: float = 1.0) -> tuple[dict[str, float], list[Clip] | None]:
        """The Fréchet distance on the recognizer's features, the made clips' variety as a share of
        the real ones', and clips for a sheet. All on the main process.
        share: of the clips, if not all."""
        self.count = max(2, round(self.all * share))
        clips = self.made()
        real = self._real
        found = {SPREAD: variety(clips) / max(1e-6, real[1])}
        if self.judge is not None:
            distance = frechet_distance(self._features(clips), real[0]).distance
            found = {DISTANCE: distance} | found
        return found, clips[:SHOWN]

    def clip_of(self, number: int) -> int:
        """The real clip that an excerpt is cut out of: of each, or several of each."""
        return number * len(self.source) // self.count

    @cached_property
    def _real(self) -> tuple[np.ndarray, float]:
        """Features and variety of real clips."""
        clips = [self._excerpt(number) for number in range(self.count)]
        return self._features(clips), variety(clips)

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
