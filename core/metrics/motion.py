"""How do clips move: does the land stay, does the hour go forward, does brightness flicker?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.vistas.source import Vistas
from ..errors import UsageError
from ..models.engine import Engine
from ..models.frechet import FEWEST, Z, halves, spread
from ..progress import OnProgress, unheard
from .alignment import share
from .clips import classes, filmed, make, prefixed
from .land import ENDS, land_stays
from .outward import outward
from .world import Real, world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

USUAL = 100  # clips
FRAMES = 128  # of each, of a model that makes them as long as one likes
MOMENTS, TOGETHER = 32, 2  # of a clip at which the hour is read; so many neighbours tell one
SUBSETS = 200
LEFT_OUT = "whether land stays and the hour goes forward is told of vistas,camera=still alone"


class Motion:
    """Clips as numbers; the clips are not kept. judge: reads the hour of a frame; None where clips
    show no land whose hours pass. ride: whether they are filmed by one who goes forward."""

    def __init__(self, judge: Any = None, ride: bool = False) -> None:
        self.judge, self.ride = judge, ride
        self.outward: list[bool] = []
        self.stays: list[bool] = []
        self.forward: list[bool] = []
        self.brightness: list[float] = []
        self.pixels: list[float] = []
        self.shimmer: list[float] = []

    def add(self, frames: np.ndarray) -> None:
        """Take a clip in: RGB uint8 (T, H, W, 3)."""
        brightness, pixels = flicker(frames)
        self.brightness.append(brightness)
        self.pixels.append(pixels)
        self.shimmer.append(shimmer(frames))
        if self.ride:
            self.outward.append(outward(frames) > 0)
        if self.judge is not None:
            self.stays.append(land_stays(frames))
            self.forward.append(hours_passed(self.judge, frames) > 0)

    def against(self, real: Motion) -> dict[str, Any]:
        """What `motion` tells of these clips beside real ones."""
        found: dict[str, Any] = {}
        if self.judge is not None:
            found |= beside_real("land_stays", self.stays, real.stays)
            found |= beside_real("hour_forward", self.forward, real.forward)
        if self.ride:
            found |= beside_real("outward", self.outward, real.outward)
        found |= ratio("brightness_flicker", self.brightness, real.brightness)
        found |= ratio("pixel_flicker", self.pixels, real.pixels)
        real_shimmer = float(np.mean(real.shimmer)) if real.shimmer else None
        return found | {"shimmer": float(np.mean(self.shimmer)), "shimmer_real": real_shimmer}


def motion(
    loaded: Loaded,
    count: int | None = None,
    seed: int = 0,
    held_out: bool = False,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Generate `count` clips, 100 where left out, of 128 frames where the model reads no prompts
    and of its own length where it does, and look how they move, beside as many real ones.

    brightness_flicker and pixel_flicker: the mean absolute second difference in time of the frames'
    brightness and of their pixels, over that of real clips at the same rate; _low and _high: the 95
    % interval. shimmer: by how many levels of 255 the quarter of a clip's pixels that changes least
    changes from frame to frame, in the mean. Where the data are vistas from a tripod: land_stays,
    the share of clips whose first and last frames show outlines of the same land in the same place
    (`land.land_stays`), and hour_forward, the share in which more hours pass forward than back
    (`hours_passed`), each with its 95 % Wilson interval, and ..._real of the real ones; elsewhere
    left_out says so. Where they are rides: outward, the share in which what is near moves to the
    sides (`outward.outward`), told alike. Clips, prompts, data, settings and held_out as in
    `clips.evaluate`. UsageError for too short clips, MissingCapability where the recognizer's
    weights are not installed.
    """
    world, report = world_of(loaded, data), on_progress or unheard
    wish, count = asked(loaded, settings or {}), count or USUAL
    whole = world.real(count, seed, held_out)
    prompts, labels = world.prompts(whole, count, seed, held_out), classes(loaded, whole)
    judge = world.judge() if filmed_from(whole, "still") else None
    found = Motion(judge and judge.model, filmed_from(whole, "ride"))
    fps, size, frames, seconds = 1.0, (0, 0), 0, 0.0
    clips = make(loaded, prompts, wish, labels=labels, engine=engine, device=device)
    for number, (_, made) in enumerate(clips):
        frames, size, fps = len(made.clip.frames), made.clip.frames.shape[1:3], made.clip.fps
        check_length(loaded, frames)
        found.add(made.clip.frames)
        seconds += sum(made.seconds.values())
        report(number + 1, count, "clips")
    real = world.excerpts(count, seed, frames, fps, held_out)
    beside = of_real(real, frames, fps, size, found, report)
    told = found.against(beside) | {"frames": frames, "fps": fps, "count": count}
    told |= {"seconds_per_clip": seconds / count}
    told |= {"recognizer_sha256": judge.sha256} if judge else {"left_out": LEFT_OUT}
    if not len(real):
        told["warning"] = f"no clip of the data has {frames} frames at {fps:g} a second"
    return prefixed(told, held_out)


def asked(loaded: Loaded, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """As `filmed`. UsageError for too few frames, too."""
    wish = filmed(loaded, settings, FRAMES)
    if "frames" in settings:
        check_length(loaded, settings["frames"])
    return wish


def check_length(loaded: Loaded, frames: int) -> None:
    """UsageError for a clip whose ends are one."""
    if frames < 2 * ENDS:
        raise UsageError(
            f"the first and the last {ENDS} frames are held together: {loaded.about.name}'s "
            f"{frames} are too few",
            f"--frames {FRAMES}",
        )


def filmed_from(real: Real, camera: str) -> bool:
    """Whether clips are of vistas, by that camera: where it is still, hours pass over one land."""
    return isinstance(real.source, Vistas) and real.source.camera == camera


def of_real(
    real: Real, frames: int, fps: float, size: tuple[int, int], made: Motion, report: OnProgress
) -> Motion:
    """Real clips at the made ones' rate, length and size."""
    found, times = Motion(made.judge, made.ride), np.arange(frames) / fps
    for number in range(len(real)):
        found.add(real.frames(number, times, frames / fps, size)[0])
        report(number + 1, len(real), "real clips")
    return found


def flicker(frames: np.ndarray) -> tuple[float, float]:
    """RGB uint8 (T, H, W, 3) -> mean absolute second difference in time of the frames' mean
    brightness and of their pixels, of 255."""
    brightness = np.diff(frames.mean(axis=(1, 2, 3)), 2)
    pixels = [np.abs(np.diff(frames[:, row].astype(np.int16), 2, axis=0)).mean()
              for row in range(frames.shape[1])]  # fmt: skip
    return float(np.abs(brightness).mean()), float(np.mean(pixels))


def shimmer(frames: np.ndarray) -> float:
    """RGB uint8 (T, H, W, 3) -> mean absolute difference of neighbouring frames, of 255, in that
    quarter of the pixels in which it is least."""
    changes = [np.abs(np.diff(frames[:, row].astype(np.int16), axis=0)).mean(axis=(0, 2))
               for row in range(frames.shape[1])]  # fmt: skip
    least = np.sort(np.concatenate(changes))
    return float(least[: (len(least) + 3) // 4].mean())


def hours_passed(judge: Any, frames: np.ndarray) -> float:
    """How many hours pass in a clip, forward less back, in the mean of its steps; a step counts for
    as much as the judge is sure of the hours at both ends.

    frames: RGB uint8 (T, H, W, 3), of which MOMENTS are looked at.
    """
    places = np.round(np.linspace(0, len(frames) - 1, MOMENTS)).astype(int)
    odds = judge.each_frame(frames[places])["hour"].exp().cpu().double().numpy()
    bins = odds.shape[-1]
    # an hour is a direction, the longer the surer
    hands = odds @ np.exp(2j * np.pi * np.arange(bins) / bins)
    hands = hands.reshape(-1, TOGETHER).mean(axis=1)
    steps = hands[1:] * hands[:-1].conj()
    sure = np.abs(steps)
    return float((np.angle(steps) * sure).sum() / (sure.sum() + 1e-9) * 24 / (2 * np.pi))


def beside_real(name: str, found: Sequence[bool], real: Sequence[bool]) -> dict[str, Any]:
    """As `share`, and how many of the real ones."""
    return {**share(name, found), f"{name}_real": sum(real) / len(real) if real else None}


def ratio(name: str, found: Sequence[float], real: Sequence[float]) -> dict[str, float | None]:
    """The means' ratio with the ends of its interval; None where real clips stand still, and of too
    few clips to tell how sure it is."""
    a, b = np.array(found), np.array(real)
    if not len(b) or not b.mean():
        return {name: None}
    value, error = float(a.mean() / b.mean()), None
    if min(len(a), len(b)) >= FEWEST:
        pairs = zip(*halves([len(a), len(b)], SUBSETS, 0), strict=True)
        error = spread([a[first].mean() / b[second].mean() for first, second in pairs])
    low, high = (None, None) if error is None else (value - Z * error, value + Z * error)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
