"""Do a model's clips look like real ones? Distances between the features of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..data.menagerie.source import Menagerie
from ..media.clip import Clip
from ..models.recognizer import moment_places
from ..models.recognizer.judge import load_judge
from ..progress import OnProgress
from .frechet import FEWEST, I3D, PUBLISHED, Estimate, frechet_distance, kernel_distance

SUBSETS = 100


class Likeness:
    """Generated clips, as features, to be held against real ones; the clips are not kept.

    i3d: a TorchScript file as `frechet.I3D` takes, for distances on its features too; device: where
    it runs. UsageError for a file that is none.
    """

    def __init__(self, i3d: Path | None = None, device: str = "cpu") -> None:
        self.judge: Any = load_judge().model
        self.detector = I3D(i3d, device) if i3d else None
        self.seen: list[np.ndarray] = []
        self.deep: list[np.ndarray] = []
        self.frames, self.size, self.fps = 0, 0, 1.0

    def add(self, clip: Clip) -> Tensor:
        """Take a clip in; all must be alike in size, length and rate. The recognizer's (1, D)."""
        self.frames, self.size, self.fps = *clip.frames.shape[:2], clip.fps
        found = self.judge.features([clip])
        self.seen.append(found.cpu().double().numpy())
        if self.detector:
            self.deep.append(self.detector([clip], self.i3d_frames))
        return found

    @property
    def i3d_frames(self) -> int:
        """The longer of StyleGAN-V's two clip lengths that the clips reach, else the shorter."""
        return max((n for n in PUBLISHED if n <= self.frames), default=PUBLISHED[0])

    def against(self, source: Menagerie, on_progress: OnProgress) -> dict[str, Any]:
        """Distances to the source's clips, rendered at the generated ones' size and moments.

        frechet_distance and kernel_distance with _low and _high, their 95 % intervals at this
        number of clips; i3d_frechet_distance likewise, and the i3d_frames that it looked at. None
        for fewer than four clips. warning: where there are fewer clips than the features have
        dimensions.
        """
        seen, deep = self._real(source, on_progress)
        made = np.concatenate(self.seen)
        estimates = {"frechet_distance": measured(frechet_distance, made, seen),
                     "kernel_distance": measured(kernel_distance, made, seen)}  # fmt: skip
        found: dict[str, Any] = {}
        if self.detector:
            measure = measured(frechet_distance, np.concatenate(self.deep), deep)
            estimates["i3d_frechet_distance"] = measure
            found["i3d_frames"] = self.i3d_frames
        for name, estimate in estimates.items():
            low, high = estimate.interval if estimate and estimate.interval else (None, None)
            value = estimate.distance if estimate else None
            found |= {name: value, f"{name}_low": low, f"{name}_high": high}
        warnings = [e.warning for e in estimates.values() if e and e.warning]
        return found | ({"warning": "; ".join(dict.fromkeys(warnings))} if warnings else {})

    def _real(self, source: Menagerie, on_progress: OnProgress) -> tuple[np.ndarray, np.ndarray]:
        """The recognizer's and, with I3D, the detector's features of every clip of the source."""
        looked = moment_places(self.frames, self.judge.config).numpy()
        first = np.arange(self.i3d_frames if self.detector else 0)
        times = np.concatenate([looked, first]) / self.fps
        seen, deep = [], []
        for index in range(len(source)):
            frames, _ = source.frames(index, times, (self.size, self.size))
            clip = Clip(frames[: len(looked)], self.fps)
            seen.append(self.judge.features([clip]).cpu().double().numpy())
            if self.detector:
                deep.append(self.detector([Clip(frames[len(looked) :], self.fps)], len(first)))
            on_progress(index + 1, len(source), "real clips")
        return np.concatenate(seen), np.concatenate(deep) if deep else np.empty((0, 0))


def measured(
    distance: Callable[..., Estimate], made: np.ndarray, real: np.ndarray
) -> Estimate | None:
    """The distance with its error; None for too few clips to tell one."""
    return distance(made, real, subsets=SUBSETS) if len(made) >= FEWEST else None
