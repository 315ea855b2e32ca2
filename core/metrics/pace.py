"""Does the content of clips change as fast as that of real ones?

How like a clip's first frame a later one is: S(t) = sum_i min(H(x_0)_i, H(x_t)_i) of their colours'
histograms, 20 bins for each of red, green and blue, averaged over clips (LongVideoGAN, 2206.03429,
section 5). 1: the same colours; what stands still stays at 1, what runs away falls at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..files import atomic_write
from ..models.engine import Engine
from ..models.frechet import FEWEST, Z, halves, spread
from ..progress import OnProgress, unheard
from .clips import classes, filmed, make, prefixed
from .curvature import COLOURS
from .motion import FRAMES, USUAL
from .world import Real, World, world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

BINS = 20  # of a colour
LAGS = 16  # at which S is told
NAMED = (1, 10, 60)  # seconds, where clips are that long
SUBSETS = 200
# How fast real clips are played, and what these curves are called.
SPEEDS = {"real": 1.0, "half_speed": 0.5, "double_speed": 2.0}


def pace(
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
    and of its own length where it does, and see how fast their colours change.

    pace: how much faster than real clips they become unlike their first frame (`rate`), with its
    95 % interval; None where that cannot be told. similarity_1s, _10s, _60s: S so long after the
    first frame, where clips are so long, ..._real of as many real clips and ..._half_speed,
    ..._double_speed of those played at half and at twice their speed (None where they are too
    short). curve: S at all `lags`, in seconds, under the same names. Clips, prompts, data, settings
    and held_out as in `clips.evaluate`. UsageError for clips of a single frame.
    """
    world, report = world_of(loaded, data), on_progress or unheard
    wish, count = filmed(loaded, settings or {}, FRAMES), count or USUAL
    whole = world.real(count, seed, held_out)
    prompts, labels = world.prompts(whole, count, seed, held_out), classes(loaded, whole)
    made, frames, fps, size = [], 0, 1.0, (0, 0)
    clips = make(loaded, prompts, wish, labels=labels, engine=engine, device=device)
    for number, (_, each) in enumerate(clips):
        clip = each.clip
        frames, fps, size = len(clip.frames), clip.fps, clip.frames.shape[1:3]
        if frames < 2:
            raise UsageError(f"nothing changes in a single frame of {loaded.about.name}'s",
                             f"--frames {FRAMES}")  # fmt: skip
        made.append(similarity(clip.frames[[0, *lags(frames, fps)]]))
        report(number + 1, count, "clips")
    seconds = lags(frames, fps) / fps
    real = of_real(excerpts(world, count, seed, frames, fps, held_out), seconds, size, report)
    told = against(np.array(made), real, seconds) | {"frames": frames, "fps": fps, "count": count}
    if not len(next(iter(real.values()))):
        told["warning"] = f"no clip of the data has {frames} frames at {fps:g} a second"
    return prefixed(told, held_out)


def lags(frames: int, fps: float) -> np.ndarray:
    """At which frames of so many the first is looked back at: (L,), ascending, each as much later
    than the one before in proportion, and those of NAMED."""
    spread_out = np.geomspace(1, frames - 1, LAGS)
    named = [second * fps for second in NAMED if second * fps <= frames - 1]
    return np.unique(np.round([*spread_out, *named]).astype(int))


def histogram(frame: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> how large a share of its pixels has each of BINS^3 colours."""
    red, green, blue = np.moveaxis(frame.astype(np.int64) * BINS // 256, -1, 0)
    places = (red * BINS + green) * BINS + blue
    return np.bincount(places.ravel(), minlength=BINS**3) / places.size


def similarity(frames: np.ndarray) -> np.ndarray:
    """RGB uint8 (1 + L, H, W, 3) -> (L,): how large a share of the first's colours each of the
    others has too."""
    first, *others = map(histogram, frames)
    return np.array([np.minimum(first, other).sum() for other in others])


def excerpts(world: World, count: int, seed: int, frames: int, fps: float, held_out: bool) -> Real:
    """Real clips, twice as long as made ones where there are any: they are played twice as fast."""
    long = world.excerpts(count, seed, 2 * frames, fps, held_out)
    return long if len(long) else world.excerpts(count, seed, frames, fps, held_out)


def of_real(
    real: Real, seconds: np.ndarray, size: tuple[int, int], report: OnProgress
) -> dict[str, np.ndarray]:
    """Real clips' similarity (N, L) at each of SPEEDS; NaN where a clip ends before."""
    moments = np.concatenate([[0.0], *(seconds * speed for speed in SPEEDS.values())])
    rows = []
    for number in range(len(real)):
        last = real.duration(number)
        within = np.minimum(moments, last)
        row = similarity(real.frames(number, within, min(last, moments.max()), size)[0])
        rows.append(np.where(moments[1:] <= last, row, np.nan))
        report(number + 1, len(real), "real clips")
    found = np.array(rows).reshape(len(real), len(SPEEDS), len(seconds))
    return {name: found[:, place] for place, name in enumerate(SPEEDS)}


def against(
    made: np.ndarray, real: Mapping[str, np.ndarray], seconds: np.ndarray
) -> dict[str, Any]:
    """What `pace` tells of clips' similarity (N, L), beside real ones' at each speed."""
    found, means = with_interval(made, real, seconds), {"model": made.mean(axis=0)}
    means |= {name: curve(rows) for name, rows in real.items()}
    for place in [place for place, second in enumerate(seconds) if second in NAMED]:
        stem = f"similarity_{seconds[place]:g}s"
        value, error = means["model"][place], Z * spread(made[:, place]) / np.sqrt(len(made))
        found |= {stem: float(value)}
        if len(made) >= FEWEST:
            found |= {f"{stem}_low": float(value - error), f"{stem}_high": float(value + error)}
        found |= {f"{stem}_{name}": plain(means[name][place]) for name in real}
    told = {name: [plain(value) for value in row] for name, row in means.items()}
    return found | {"curve": {"seconds": seconds.tolist(), **told}}


def curve(rows: np.ndarray) -> np.ndarray:
    """(N, L) -> the mean of those that are long enough (L,), NaN where none is."""
    there = np.isfinite(rows)
    total = np.where(there, rows, 0).sum(axis=0)
    return np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)


def plain(value: float) -> float | None:
    """As JSON has it."""
    return float(value) if np.isfinite(value) else None


def with_interval(
    made: np.ndarray, real: Mapping[str, np.ndarray], seconds: np.ndarray
) -> dict[str, float | None]:
    """pace, pace_low and pace_high."""

    def told(ours: np.ndarray, theirs: np.ndarray) -> float | None:
        """Of some of the clips."""
        curves = {name: curve(rows[theirs]) for name, rows in real.items()}
        return rate(made[ours].mean(axis=0), curves, seconds)

    counts = [len(made), len(real["real"])]
    value = told(np.arange(counts[0]), np.arange(counts[1])) if counts[1] else None
    if value is None or min(counts) < FEWEST:
        return {"pace": value}
    parts = [told(*pair) for pair in zip(*halves(counts, SUBSETS, 0), strict=True)]
    error = Z * spread([np.log(part) for part in parts if part is not None])
    return {"pace": value, "pace_low": float(value * np.exp(-error)),
            "pace_high": float(value * np.exp(error))}  # fmt: skip


def rate(made: np.ndarray, real: Mapping[str, np.ndarray], seconds: np.ndarray) -> float | None:
    """How many times faster than real clips others change, whose similarity is `made` (L,): the
    mean, in proportion, of how much later real ones are as unlike their first frame; each moment
    counts for as much as real clips change about it. None where these do not change.

    real: of SPEEDS, (L,) each. Between 1/2 and 2 at the ends of what they tell, beyond them as far
    as other moments do.
    """
    speeds = [seconds * speed for speed in SPEEDS.values()]
    when, like = np.log(np.concatenate(speeds)), np.concatenate([real[name] for name in SPEEDS])
    order = np.argsort(when)[np.isfinite(like[np.argsort(when)])]
    when, like = when[order], np.minimum.accumulate(like[order])
    now = np.log(seconds)
    change = np.interp(now - np.log(2), when, like) - np.interp(now + np.log(2), when, like)
    if not change.sum():
        return None
    then = np.interp(-made, -like, when)
    return float(np.exp(np.average(then - now, weights=change)))


def plot_pace(path: Path | str, curves: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG, at once or not at all, of what `pace` tells as "curve", once or for clips of
    several kinds of prompts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    axes: Any = drawing.add_subplot()
    styles = {"model": "-o", "real": "-", "half_speed": ":", "double_speed": "--"}
    for found in curves:
        x = found["seconds"]
        for (name, style), colour in zip(styles.items(), COLOURS, strict=False):
            y = [np.nan if value is None else value for value in found[name]]
            label = name.replace("_", " ") if found is curves[0] else None
            axes.plot(x, y, style, color=colour, markersize=3, label=label)
    axes.set(xlabel="seconds after the first frame", ylabel="share of its colours", xscale="log")
    axes.legend(frameon=False)
    with atomic_write(path) as file:
        drawing.savefig(file, format="png", dpi=150)
