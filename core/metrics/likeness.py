"""Do a model's clips look like real ones? Distances between the features of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..media.clip import Clip
from ..models.frechet import FEWEST, Estimate, frechet_distance, kernel_distance
from ..models.package import Loaded
from ..models.recognizer.judge import load_judge
from ..models.recognizer.model import moment_places
from ..progress import OnProgress
from .i3d import I3D, PUBLISHED
from .world import Real

SUBSETS = 100


class Likeness:
    """Generated clips, as features, to be held against real ones; the clips are not kept.

    i3d: a TorchScript file as `I3D` takes, or the detector itself, for distances on its features
    too; device: where it runs; trust: whether it may be any program. judge: whose features tell how
    like they are; the recognizer of the menagerie where left out. whole: whether the detector looks
    at all of a clip. UsageError for a file that is none.
    """

    def __init__(
        self,
        i3d: Path | I3D | None = None,
        device: str = "cpu",
        trust: bool = False,
        judge: Loaded | None = None,
        whole: bool = False,
    ) -> None:
        self.whole = whole
        self.judge: Any = (judge or load_judge()).model
        self.detector = I3D(i3d, device, trust) if isinstance(i3d, Path) else i3d
        self.seen: list[np.ndarray] = []
        self.deep: list[np.ndarray] = []
        self.frames, self.size, self.fps = 0, (0, 0), 1.0  # size: height and width

    def add(self, clip: Clip) -> Tensor:
        """Take a clip in; all must be alike in size, length and rate. The recognizer's (1, D)."""
        self.frames, height, width = clip.frames.shape[:3]
        self.size, self.fps = (height, width), clip.fps
        found = self.judge.features([clip])
        self.seen.append(found.cpu().double().numpy())
        if self.detector:
            self.deep.append(self.detector([clip], self.i3d_frames))
        return found

    @property
    def i3d_frames(self) -> int:
        """How many frames the detector looks at: the longer of StyleGAN-V's two clip lengths that
        the clips reach, else the shorter; all where clips are looked at whole."""
        if self.whole:
            return self.frames
        return max((n for n in PUBLISHED if n <= self.frames), default=PUBLISHED[0])

    def against(
        self, real: Real, on_progress: OnProgress, others: Real | None = None
    ) -> dict[str, Any]:
        """Distances to real clips, shown at the generated ones' size, rate and length.

        frechet_distance and kernel_distance with _low and _high, their 95 % intervals at this
        number of clips; i3d_frechet_distance likewise, and the i3d_frames that it looked at. None
        for fewer than four clips. frechet_distance_real: of the real clips to as many `others`, if
        there are so many; clips like real ones would come as near. warning: where there are fewer
        clips than the features have dimensions, or fewer real ones than generated.
        """
        estimates = self.distances(real, on_progress, others)
        apart = estimates.pop("frechet_distance_real", None)
        found: dict[str, Any] = {"i3d_frames": self.i3d_frames} if self.detector else {}
        for name, estimate in estimates.items():
            found |= with_interval(name, estimate)
        if others and len(others) == len(real):
            found["frechet_distance_real"] = apart.distance if apart else None
        warnings = warnings_of(estimates)
        if len(real) < len(self.seen):
            warnings.append(
                f"the data have only {len(real)} clips to hold {len(self.seen)} against"
            )
        return found | ({"warning": "; ".join(warnings)} if warnings else {})

    def distances(
        self, real: Real, on_progress: OnProgress, others: Real | None = None
    ) -> dict[str, Estimate | None]:
        """What `against` tells, by name, each with its error; frechet_distance_real where there are
        as many others."""
        seen, deep = self._real(real, self.detector, on_progress)
        made = np.concatenate(self.seen)
        found = {"frechet_distance": measured(frechet_distance, made, seen),
                 "kernel_distance": measured(kernel_distance, made, seen)}  # fmt: skip
        if self.detector:
            pair = as_published(np.concatenate(self.deep)), as_published(deep)
            found["i3d_frechet_distance"] = measured(frechet_distance, *pair)
        if others and len(others) == len(real):
            again, _ = self._real(others, None, on_progress)
            found["frechet_distance_real"] = measured(frechet_distance, seen, again)
        return found

    def _real(
        self, real: Real, detector: I3D | None, on_progress: OnProgress
    ) -> tuple[np.ndarray, ...]:
        """The recognizer's and, where one is given, the detector's features of every clip."""
        looked = moment_places(self.frames, self.judge.config).numpy()
        first = np.arange(self.i3d_frames if detector else 0)
        times = np.concatenate([looked, first]) / self.fps
        seconds = self.frames / self.fps
        seen, deep = [], []
        for number in range(len(real)):
            frames, _ = real.frames(number, times, seconds, self.size)
            clip = Clip(frames[: len(looked)], self.fps)
            seen.append(self.judge.features([clip]).cpu().double().numpy())
            if detector:
                deep.append(detector([Clip(frames[len(looked) :], self.fps)], len(first)))
            on_progress(number + 1, len(real), "real clips")
        return tuple(np.concatenate(rows) if rows else np.empty((0, 0)) for rows in (seen, deep))


def as_published(features: np.ndarray) -> np.ndarray:
    """(N, D), drawn towards their mean, so that what np.cov gives of them is divided by N, and not
    by N - 1: as the Fréchet video distance of 2112.14683 has it."""
    if not len(features):
        return features
    mean = features.mean(axis=0)
    return mean + (features - mean) * np.sqrt((len(features) - 1) / len(features))


def warnings_of(estimates: Mapping[str, Estimate | None]) -> list[str]:
    """Each sentence once."""
    return list(dict.fromkeys(e.warning for e in estimates.values() if e and e.warning))


def with_interval(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """The distance and the two ends of its 95 % interval, by name."""
    low, high = estimate.interval if estimate and estimate.interval else (None, None)
    return {name: estimate.distance if estimate else None, f"{name}_low": low, f"{name}_high": high}


def measured(
    distance: Callable[..., Estimate], made: np.ndarray, real: np.ndarray
) -> Estimate | None:
    """The distance with its error; None for too few clips to tell one."""
    enough = min(len(made), len(real)) >= FEWEST
    return distance(made, real, subsets=SUBSETS) if enough else None
