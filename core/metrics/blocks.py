"""Large pictures, block by block: how like real ones each place of them is, and do seams show?

Block-FID (2207.09814): the mean over the blocks of a picture of the Fréchet distance between what
pictures show there and what real ones do. Seams are seen by gradients: across the borders of the
patches that a picture was drawn in they should be as large as elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..media.clip import Clip
from ..models.engine import Engine, pick_device
from ..models.frechet import FEWEST, Z, few_samples, frechet_distance, halves, spread
from ..models.registry import load
from ..progress import OnProgress, unheard
from .clips import make, prefixed
from .i3d import I3D, PUBLISHED
from .world import Real, world_of

if TYPE_CHECKING:
    from ..models.package import Loaded

USUAL = 200  # pictures
SIZE = (256, 1024)  # height and width of each, unless told
BLOCK = 256  # pixels along a side, as published; less where a picture is smaller
SUBSETS = 50  # halves that tell the error

Features = dict[str, np.ndarray]  # by the network that sees them: (N, blocks, D)
Eye = Callable[[list[np.ndarray]], np.ndarray]  # uint8 (H, W, 3) each -> (blocks, D)


class Blocks:
    """Pictures of one size as numbers; the pictures are not kept. eyes: networks by their names;
    side: of patches in pixels, None where a picture was drawn as a whole."""

    def __init__(self, eyes: Mapping[str, Eye], side: int | None) -> None:
        self.eyes, self.side = eyes, side
        self.rows: dict[str, list[np.ndarray]] = {name: [] for name in eyes}
        self.gradients: list[np.ndarray] = []

    def add(self, pixels: np.ndarray) -> None:
        """Take a picture in: RGB uint8 (H, W, 3)."""
        blocks = cut(pixels)
        for name, eye in self.eyes.items():
            self.rows[name].append(eye(blocks))
        if self.side is not None:
            self.gradients.append(gradients(pixels, self.side))

    @property
    def features(self) -> Features:
        """Of all pictures so far."""
        return {name: np.stack(rows) for name, rows in self.rows.items()}

    def against(self, real: Blocks) -> dict[str, Any]:
        """Distances to real pictures, with the ends of their 95 % intervals, and the seams of
        both; None for fewer than four pictures."""
        found: dict[str, Any] = {}
        for name, features in self.features.items():
            found |= with_error(name, features, real.features[name])
        if self.gradients:
            found |= with_spread("seams", np.array(self.gradients))
            found["seams_real"] = seams(np.array(real.gradients))
        return found


def blocks(
    loaded: Loaded,
    count: int | None = None,
    seed: int = 0,
    held_out: bool = False,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    data: str | None = None,
    i3d: Path | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """Draw `count` pictures, 200 where left out, of 1024 x 256 pixels unless settings say a size,
    and hold each block of theirs against the same block of as many real ones.

    block_frechet_distance: the mean over the blocks, on the features of the recognizer of the
    world; _low and _high: its 95 % interval; ..._real: of real pictures to other real ones. With
    `i3d` i3d_block_frechet_distance, of each block as a clip that stands still. seams: how large
    differences of neighbours are across the borders of patches, over those elsewhere; seams_real:
    of real pictures, at the same places. Pictures, prompts, data and held_out as in
    `clips.evaluate`. UsageError for a model whose pictures have one size, and as there.
    """
    if loaded.about.gives != "picture" or "size" not in loaded.about.takes:
        raise UsageError(f"{loaded.about.name} makes no pictures of any size", "--metrics clips")
    world, report, count = world_of(loaded, data), on_progress or unheard, count or USUAL
    wish = {"size": SIZE, **(settings or {})}
    real, judge = world.real(count, seed, held_out), world.judge()
    eyes = {"block_frechet_distance": recognizing(judge.model)}
    if i3d is not None:
        eyes["i3d_block_frechet_distance"] = still(I3D(i3d, pick_device(device), trust))
    found, seconds = Blocks(eyes, load(loaded.about).side(loaded.model)), 0.0
    prompts = world.prompts(real, count, seed, held_out)
    made = make(loaded, prompts, wish, engine=engine, device=device)
    for number, (_, drawn) in enumerate(made):
        found.add(drawn.clip.frames[0])
        seconds += sum(drawn.seconds.values())
        report(number + 1, count, "pictures")
    beside = of_real(real, found, wish["size"], report)
    told = found.against(beside)
    others = world.real(count, seed, held_out, others=True)
    if len(others) == len(real):
        again = of_real(others, found, wish["size"], report)
        told |= {f"{name}_real": again.against(beside)[name] for name in eyes}
    shape = found.features["block_frechet_distance"].shape
    told |= {"count": count, "blocks": shape[1], "height_px": wish["size"][0],
             "width_px": wish["size"][1], "seconds_per_picture": seconds / count,
             "recognizer_sha256": judge.sha256}  # fmt: skip
    warning = few_samples(min(count, len(real)), shape[2])
    return prefixed(told | ({"warning": warning} if warning else {}), held_out)


def of_real(real: Real, like: Blocks, size: tuple[int, int], report: OnProgress) -> Blocks:
    """Real pictures of a size, seen by the same eyes."""
    found = Blocks(like.eyes, like.side)
    for number in range(len(real)):
        found.add(real.frames(number, np.zeros(1), 0.0, size)[0][0])
        report(number + 1, len(real), "real pictures")
    return found


def recognizing(model: Any) -> Eye:
    """What a recognizer sees in each block."""
    return lambda seen: (
        model.features([Clip(block[None], 1.0) for block in seen]).cpu().double().numpy()
    )


def still(detector: I3D) -> Eye:
    """What a detector of videos sees in a clip in which nothing moves."""
    frames = PUBLISHED[0]
    return lambda seen: detector([Clip(np.stack([b] * frames), 1.0) for b in seen], frames)


def cut(pixels: np.ndarray) -> list[np.ndarray]:
    """RGB uint8 (H, W, 3) -> its blocks, row after row; what is left over is left out."""
    height, width = pixels.shape[:2]
    side = min(BLOCK, height, width)
    return [
        pixels[top : top + side, left : left + side]
        for top in range(0, height - side + 1, side)
        for left in range(0, width - side + 1, side)
    ]


def with_error(name: str, made: np.ndarray, real: np.ndarray) -> dict[str, float | None]:
    """The mean distance over the blocks (N, blocks, D), (M, blocks, D), and its interval: by halves
    of the pictures, whose blocks stay together."""
    counts = [len(made), len(real)]
    if min(counts) < FEWEST:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    value = distance(made, real)
    pairs = zip(*halves(counts, SUBSETS, 0), strict=True)
    error = spread([distance(made[first], real[second]) for first, second in pairs])
    return {name: value, f"{name}_low": value - Z * error, f"{name}_high": value + Z * error}


def distance(made: np.ndarray, real: np.ndarray) -> float:
    """The mean over the blocks of the Fréchet distance at each."""
    places = range(made.shape[1])
    return float(np.mean([frechet_distance(made[:, at], real[:, at]).distance for at in places]))


def gradients(pixels: np.ndarray, side: int) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> mean absolute differences of neighbours (2, 2): down and across, each
    over the borders of patches and elsewhere; nan where there are none."""
    found = np.full((2, 2), np.nan)
    for axis in (0, 1):
        away = tuple({0, 1, 2} - {axis})
        steps = np.abs(np.diff(pixels.astype(np.int16), axis=axis)).mean(axis=away)
        border = np.arange(1, len(steps) + 1) % side == 0
        for place, chosen in enumerate((border, ~border)):
            if chosen.any():
                found[axis, place] = steps[chosen].mean()
    return found


def seams(told: np.ndarray) -> float | None:
    """gradients of pictures (N, 2, 2) -> across borders over elsewhere, in the mean of down and
    across; None where no border lies in a picture, or nothing changes in any."""
    if not len(told):
        return None
    border, inside = told.mean(axis=0).T
    known = ~np.isnan(border) & (inside > 0)
    return float((border[known] / inside[known]).mean()) if known.any() else None


def with_spread(name: str, told: np.ndarray) -> dict[str, float | None]:
    """The seams of pictures (N, 2, 2), and their interval where there are four or more."""
    value, error = seams(told), None
    if value is not None and len(told) >= FEWEST:
        (half,) = halves([len(told)], SUBSETS, 0)
        error = spread([seams(told[part]) or 0.0 for part in half])
    low, high = (None, None) if error is None or value is None else (
        value - Z * error, value + Z * error)  # fmt: skip
    return {name: value, f"{name}_low": low, f"{name}_high": high}
