"""Generators of video without text: how like real ones are their clips of 16 and of 128 frames?

With an I3D this is the protocol of StyleGAN-V (2112.14683, section 4), which those that came after
it report: 2048 clips of the model against 2048 of its data, each clip as likely as any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..media.clip import Clip
from ..models.package import Loaded
from ..progress import OnProgress
from .i3d import I3D, PUBLISHED
from .likeness import Likeness, warnings_of, with_interval
from .world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLIPS = 2048  # of the protocol, made and real ones each
PROTOCOL = (
    f"StyleGAN-V (arXiv:2112.14683, {CLIPS:,} clips of the model from their first frame on, as "
    f"many of the data from anywhere, of {' and of '.join(map(str, PUBLISHED))} frames)"
)
NAMES = {"i3d_frechet_distance": "fvd"}  # as the field calls it


class Excerpts:
    """Generated clips, as the features of their first `lengths` frames; the clips are not kept.

    Of lengths that clips do not reach none is measured, but all of a clip where it reaches none.
    detector: for the Fréchet video distance too.
    """

    def __init__(self, lengths: Sequence[int], judge: Loaded, detector: I3D | None = None) -> None:
        self.lengths, self.judge, self.detector = lengths, judge, detector
        self.parts: dict[int, Likeness] = {}

    def add(self, clip: Clip) -> Tensor:
        """Take a clip in; all must be alike in size, length and rate. The recognizer's features
        (1, D) of its longest excerpt."""
        if not self.parts:
            reached = [n for n in self.lengths if n <= len(clip.frames)] or [len(clip.frames)]
            self.parts = {n: self._part() for n in sorted(reached)}
        parts = self.parts.items()
        return [part.add(Clip(clip.frames[:frames], clip.fps)) for frames, part in parts][-1]

    def _part(self) -> Likeness:
        return Likeness(self.detector, judge=self.judge, whole=True)

    @property
    def longest(self) -> Likeness:
        """That of the longest excerpts."""
        return self.parts[max(self.parts)]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the clips."""
        return self.longest.size

    def against(self, world: World, seed: int, on_progress: OnProgress) -> dict[str, Any]:
        """Distances to as many excerpts of real clips (`World.excerpts`), for each length.

        frechet_distance_16 and kernel_distance_16 of those of 16 frames, frechet_distance_16_real
        of the real ones to as many others, fvd_16 on the detector's features, each with _low and
        _high, its 95 % interval; None where there are too few clips. real_clips_16: how many clips
        of the data the excerpts are of. warning: where a distance may mislead.
        """
        height, width = self.size
        found: dict[str, Any] = {"fps": self.longest.fps, "size": f"{width}x{height}"}
        warnings: list[str] = []
        for frames, part in self.parts.items():
            count = len(part.seen)
            real = world.excerpts(count, seed, frames, part.fps)
            others = world.excerpts(count, seed, frames, part.fps, others=True)
            distances = part.distances(real, on_progress, others)
            for name, estimate in distances.items():
                found |= with_interval(named(name, frames), estimate)
            found[f"real_clips_{frames}"] = len(set(real.rows.tolist()))
            warnings += warnings_of(distances)
            if not len(real):
                warnings.append(f"no clip of the data has {frames} frames at {part.fps:g} a second")
        return found | ({"warning": "; ".join(dict.fromkeys(warnings))} if warnings else {})

    def protocol(self, count: int, settings: Mapping[str, Any]) -> dict[str, str]:
        """protocol: whether the Fréchet video distance is that of StyleGAN-V's, and what differs;
        nothing where there is no detector."""
        if self.detector is None:
            return {}
        differs = [] if count == CLIPS else [f"{count:,} clips and not {CLIPS:,}"]
        if tuple(self.parts) != PUBLISHED:
            differs.append(f"of {' and '.join(map(str, self.parts))} frames")
        differs += [] if self.detector.published else ["another detector"]
        differs += [f"{name}={value}" for name, value in settings.items() if name != "frames"]
        told = f"not that of {PROTOCOL}: {'; '.join(differs)}" if differs else PROTOCOL
        return {"protocol": told}


def named(name: str, frames: int) -> str:
    """ "frechet_distance_real" of 16 frames -> "frechet_distance_16_real"."""
    stem, real = (name.removesuffix("_real"), "_real") if name.endswith("_real") else (name, "")
    return f"{NAMES.get(stem, stem)}_{frames}{real}"
