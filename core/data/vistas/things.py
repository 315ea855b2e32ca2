"""The things that stand in a country: their kinds, their textures, and how one is set down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from . import built, growth
from .country import Vista
from .materials import colour
from .noise import Floats
from .sketch import SHADE, SIDE, Sketch

VARIANTS = 4


@dataclass(frozen=True)
class Kind:
    """wide: of its drawing, over its height; casts: how wide its shadow is; glow: whether its
    windows light the ground."""

    draw: Callable[[Sketch, Generator], None]
    wide: float
    materials: tuple[str, ...]
    casts: float = 0.4
    glow: bool = False


_LEAVES = ("leaf", "leaf light")
KINDS: dict[str, Kind] = {
    "conifer": Kind(growth.conifer, 0.62, ("pine", "pine light", "wood", "snow"), 0.3),
    "snowy conifer": Kind(growth.snowy_conifer, 0.62, ("pine", "pine light", "wood", "snow"), 0.3),
    "tree": Kind(growth.round_tree, 1.0, (*_LEAVES, "wood")),
    "blossom tree": Kind(growth.round_tree, 1.0, ("blossom", "blossom light", "wood")),
    "birch": Kind(growth.birch, 0.6, (*_LEAVES, "birch", "dark"), 0.25),
    "bare tree": Kind(growth.bare_tree, 1.1, ("wood", "wood", "wood", "snow"), 0.3),
    "snowy tree": Kind(growth.snowy_tree, 1.1, ("wood", "wood", "wood", "snow"), 0.3),
    "bush": Kind(growth.bush, 1.5, _LEAVES, 0.5),
    "snowy bush": Kind(growth.bush, 1.5, ("grass dark", "snow"), 0.5),
    "palm": Kind(growth.palm, 1.0, ("cactus", "cactus light", "wood"), 0.3),
    "cactus": Kind(growth.cactus, 0.7, ("cactus", "cactus light"), 0.15),
    "rock": Kind(growth.rock, 1.5, ("rock", "rock light"), 0.5),
    "red rock": Kind(growth.rock, 1.5, ("mesa", "mesa light"), 0.5),
    "snowy rock": Kind(growth.snowy_rock, 1.5, ("rock", "rock light", "rock", "snow"), 0.5),
    "reeds": Kind(growth.reeds, 1.0, ("reed", "grass light", "wood"), 0.2),
    "flowers": Kind(growth.flowers, 1.6, ("grass dark", "grass light", "flower"), 0.0),
    "tuft": Kind(growth.tuft, 1.8, ("grass dark", "grass light"), 0.0),
    "dry tuft": Kind(growth.tuft, 1.8, ("reed", "sand light"), 0.1),
    "house": Kind(built.house, 1.5, ("roof", "wall", "wall dark", "dark"), 0.7, True),
    "old house": Kind(built.house, 1.5, ("thatch", "white", "wall dark", "dark"), 0.7, True),
    "church": Kind(built.church, 0.96, ("roof", "white", "wall dark", "dark"), 0.4, True),
    "cabin": Kind(built.cabin, 1.5, ("thatch", "wood", "dark", "dark"), 0.6, True),
    "boat": Kind(built.boat, 0.82, ("wall", "white", "wood"), 0.0),
    "lighthouse": Kind(built.lighthouse, 0.42, ("red", "white", "rock", "wall"), 0.12, True),
    "hay": Kind(built.hay, 1.3, ("thatch", "reed"), 0.5),
    "fence": Kind(built.fence, 9.0, ("wood", "wood", "wood"), 0.0),
    "pole": Kind(built.pole, 0.3, ("wood", "wood", "wood"), 0.0),
    "lantern": Kind(built.lantern, 0.56, ("dark", "dark", "dark", "wall"), 0.0, True),
    "post": Kind(built.post, 0.3, ("white", "red"), 0.0),
}
_SPRING = {"tree": "blossom tree", "dry tuft": "flowers"}
_WINTRY = {"conifer": "snowy conifer", "tree": "snowy tree", "birch": "bare tree",
           "bush": "snowy bush", "rock": "snowy rock", "flowers": "dry tuft",
           "tuft": "dry tuft", "palm": "snowy conifer", "reeds": "dry tuft"}  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """One of a kind. x, y: its foot, along the country and above the lower edge; high: its height,
    all in heights of a picture."""

    kind: str
    x: float
    y: float
    high: float
    variant: int = 0
    flip: bool = False
    distance: float = 0.02


def seasonal(kind: str, vista: Vista) -> str:
    """What stands in its place in a country's season."""
    changed = {"winter": _WINTRY, "spring": _SPRING}.get(vista.season, {})
    return changed.get(kind, kind)


@lru_cache(maxsize=256)
def textures(kind: str, variant: int) -> dict[int, Floats]:
    """By side in texels: (CHANNELS, side, side)."""
    sketch = Sketch(KINDS[kind].wide)
    names = list(KINDS)
    KINDS[kind].draw(sketch, np.random.default_rng([names.index(kind), variant]))
    return sketch.textures()


def softened(kind: str, variant: int, side: int, ratio: float) -> Floats:
    """The texture `side` texels wide for something `ratio` pixels a texel high, from a half on:
    at first it is the coarser one, so that what comes nearer never changes at once."""
    fine = textures(kind, variant)[side]
    if ratio > 0.7 or side == 4:
        return fine
    share = np.float32(1 - max(ratio - 0.5, 0) / 0.2)
    return fine + share * _coarse(kind, variant, side)


@lru_cache(maxsize=128)
def _coarse(kind: str, variant: int, side: int) -> Floats:
    """What the next coarser texture has more than this one."""
    coarse = textures(kind, variant)[side // 2]
    return coarse.repeat(2, axis=1).repeat(2, axis=2) - textures(kind, variant)[side]


@lru_cache(maxsize=512)
def colours(kind: str, vista: Vista) -> Floats:
    """(3, materials): the colour of each material of a kind."""
    return np.stack([colour(name, vista) for name in KINDS[kind].materials], axis=1)


def side_for(pixels: float) -> int:
    """The smallest texture that is as fine as so many pixels."""
    side = 4
    while side < pixels and side < SIDE:
        side *= 2
    return side


def overlaps(
    start: NDArray, length: NDArray, side: int, first: NDArray | float, count: int
) -> Floats:
    """How much of each of `count` pixels from `first` on each of `side` texels covers, where they
    lie evenly from `start` over `length` pixels: (...) each -> (..., count, side)."""
    edges = np.asarray(first)[..., None] + np.arange(count + 1) - start[..., None]
    edges = (edges * (side / length)[..., None]).astype(np.float32)
    covered = np.clip(edges[..., None] - np.arange(side, dtype=np.float32), 0, 1)
    covered = np.diff(covered, axis=-2)
    covered *= (length / side).astype(np.float32)[..., None, None]
    return covered


def resampled(kind: str, variant: int, flip: bool, top: float, left: float, high: float) -> Floats:
    """A thing `high` pixels high whose upper left corner lies at (left, top), exactly averaged:
    (CHANNELS, rows, columns) of all pixels that it touches. What is mirrored keeps the light from
    the left."""
    side = side_for(high)
    ends = ((top, top + high), (left, left + high * KINDS[kind].wide))
    down, along = (
        overlaps(np.array(start), np.array(end - start), side, np.floor(start),
                 int(np.ceil(end)) - int(np.floor(start)))
        for start, end in ends
    )  # fmt: skip
    made = (down @ textures(kind, variant)[side]) @ (along[:, ::-1] if flip else along).T
    made[SHADE] *= -1 if flip else 1
    return made
