"""Ridges, hills, mesas and dunes: a height for each column, from far to near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .land import Land
from .materials import colour
from .noise import Floats, between, drawn, fractal, hashed, line, rows
from .view import View

Line = NDArray[np.float64]
Profile = Callable[[Line], Floats]
_PARTS = 3  # of a column, in which coverage is measured


@dataclass(frozen=True)
class Woods:
    """Trees that are part of a ridge's own outline. wide, high: of one; pointed or round."""

    wide: float
    high: float
    pointed: bool = True


@dataclass(frozen=True)
class Ridge:
    """profile: its height above the lower edge; distance: 0 (here) to 1; relief: how strongly
    slopes are lit from the side; snow: from which height on it lies."""

    profile: Profile
    material: str
    distance: float
    relief: float = 0.2
    snow: float | None = None
    woods: Woods | None = None
    bands: float = 0.0  # layers of rock a height


def ridges_of(vista: Vista, horizon: float) -> list[Ridge]:
    """What stands behind the near ground, from far to near."""
    return _OF_PLACE[vista.place](vista, horizon)


def _number(vista: Vista, key: int) -> float:
    return drawn(vista.seed, key)


def _peaks(vista: Vista, key: int, base: float, high: float, often: float, octaves=6) -> Profile:
    """Mountains: sharp crests, with higher and lower parts."""
    away, seed = 50 * _number(vista, key), vista.seed + key

    def profile(x: Line) -> Floats:
        crests = fractal(x * often + away, seed, octaves, 0.48, ridged=True) ** 1.7
        swell = line(x * often * 0.5, seed + 9)
        return base + high * (1.15 * crests + 0.25 * swell - 0.15)

    return profile


def _hills(vista: Vista, key: int, base: float, high: float, often: float, octaves=3) -> Profile:
    away, seed = 50 * _number(vista, key), vista.seed + key
    return lambda x: base + high * (fractal(x * often + away, seed, octaves, 0.4) - 0.4)


def _mesas(vista: Vista, key: int, base: float, high: float, often: float) -> Profile:
    """Table mountains of two storeys."""
    away, seed = 50 * _number(vista, key), vista.seed + key

    def profile(x: Line) -> Floats:
        ground = fractal(x * often + away, seed, 3, 0.35)
        storeys = 0.7 * between(0.5, 0.56, ground) + 0.35 * between(0.62, 0.66, ground)
        return base + high * (storeys + 0.06 * fractal(x * 9, seed + 5, 3))

    return profile


def _dunes(vista: Vista, key: int, base: float, high: float, often: float) -> Profile:
    away, seed = 50 * _number(vista, key), vista.seed + key

    def profile(x: Line) -> Floats:
        return base + high * fractal(x * often + away, seed, 2, 0.22, ridged=True) ** 1.3

    return profile


def _islands(vista: Vista, key: int, base: float, high: float, often: float) -> Profile:
    """Land that rises out of the sea here and there."""
    away, seed = 50 * _number(vista, key), vista.seed + key

    def profile(x: Line) -> Floats:
        there = between(0.45, 0.75, line(x * 0.45 * often + away, seed))
        return base + high * there * (0.35 + fractal(x * 1.6 * often, seed + 1, 5, 0.5, True))

    return profile


def _mountainous(vista: Vista, horizon: float) -> list[Ridge]:
    high, often = 0.3 + 0.22 * _number(vista, 50), 0.9 + 0.6 * _number(vista, 51)
    part = {"winter": 0.28, "spring": 0.6}.get(vista.season, 0.74)
    snow = horizon + high * part
    far = _peaks(vista, 1, horizon + 0.04, 0.95 * high, 1.1 * often, 7)
    near = _peaks(vista, 2, horizon - 0.05, high, 0.8 * often, 7)
    return [
        Ridge(far, "far", 0.6, 0.5, horizon + 0.8 * high * part),
        Ridge(near, "rock", 0.34, 0.9, snow),
        Ridge(_hills(vista, 3, horizon + 0.05, 0.2, 1.3), "pine", 0.24, 0.25,
              woods=Woods(0.018, 0.024)),
        Ridge(_hills(vista, 4, horizon + 0.02, 0.11, 2.0), "pine", 0.1, 0.2,
              woods=Woods(0.026, 0.042)),
    ]  # fmt: skip


def _wooded(vista: Vista, horizon: float) -> list[Ridge]:
    near = "pine" if vista.winter or _number(vista, 55) < 0.4 else "leaf"
    pointed = near == "pine"
    return [
        Ridge(_hills(vista, 1, horizon + 0.18, 0.32, 0.8), "far", 0.6),
        Ridge(_hills(vista, 2, horizon + 0.11, 0.24, 1.1), "pine", 0.42, woods=Woods(0.02, 0.03)),
        Ridge(_hills(vista, 3, horizon + 0.07, 0.12, 1.4), "pine", 0.26, woods=Woods(0.035, 0.07)),
        Ridge(_hills(vista, 4, horizon + 0.02, 0.06, 2.0), near, 0.12,
              woods=Woods(0.055, 0.1, pointed)),
    ]  # fmt: skip


def _dry(vista: Vista, horizon: float) -> list[Ridge]:
    ridges = [
        Ridge(_mesas(vista, 1, horizon, 0.2, 0.9), "mesa", 0.5, 0.5, bands=46),
        Ridge(_mesas(vista, 2, horizon - 0.02, 0.24, 0.7), "mesa", 0.26, 0.7, bands=30),
    ]
    if _number(vista, 52) < 0.4:
        ridges = [Ridge(_dunes(vista, 1, horizon - 0.02, 0.14, 1.3), "dune", 0.45, 0.7),
                  Ridge(_dunes(vista, 2, horizon - 0.03, 0.2, 0.8), "dune", 0.26, 0.8)]  # fmt: skip
    return [
        *ridges,
        Ridge(_dunes(vista, 3, horizon - 0.04, 0.17, 1.1), "dune", 0.14, 0.9),
        Ridge(_dunes(vista, 4, horizon - 0.11, 0.18, 0.8), "dune", 0.05, 0.9),
    ]


def _maritime(vista: Vista, horizon: float) -> list[Ridge]:
    material = "rock" if _number(vista, 53) < 0.5 else "grass"
    return [
        Ridge(_islands(vista, 1, horizon - 0.012, 0.24, 1.0), "far", 0.5, 0.5),
        Ridge(_islands(vista, 5, horizon - 0.016, 0.13, 1.7), material, 0.2, 0.6),
    ]


def _pastoral(vista: Vista, horizon: float) -> list[Ridge]:
    ridges = []
    if _number(vista, 54) < 0.55:
        snow = horizon + (0.09 if vista.winter else 0.2)
        ridges.append(Ridge(_peaks(vista, 1, horizon, 0.22, 1.1), "far", 0.64, 0.45, snow))
    return [
        *ridges,
        Ridge(_hills(vista, 2, horizon + 0.08, 0.24, 0.7), "leaf", 0.42, 0.15,
              woods=Woods(0.03, 0.022, False)),
        Ridge(_hills(vista, 3, horizon + 0.04, 0.2, 0.9), "field", 0.27, 0.35),
        Ridge(_hills(vista, 4, horizon + 0.01, 0.15, 1.1), "grass light", 0.13, 0.3),
    ]  # fmt: skip


_OF_PLACE = {
    "mountains": _mountainous,
    "lake": _mountainous,
    "forest": _wooded,
    "desert": _dry,
    "coast": _maritime,
    "village": _pastoral,
    "meadow": _pastoral,
}


def outline(ridge: Ridge, x: Line, seed: int) -> Floats:
    """Its height with the trees on it, for any x (...)."""
    height = ridge.profile(x).astype(np.float32)
    if ridge.woods is None:
        return height
    return height + treeline(ridge.woods, x.reshape(-1), seed).reshape(x.shape)


def treeline(woods: Woods, x: Line, seed: int) -> Floats:
    """How high its trees reach over x (..., N): one in each cell, of which the nearest three are
    seen. What is drawn for a cell is drawn once for a line of places."""
    cell = np.floor(x / woods.wide).astype(np.int64)
    first = cell.min(axis=-1, keepdims=True) - 1
    cell -= first
    trees = first + np.arange(int(cell.max(initial=0)) + 2)
    middle = (trees + 0.5 + 0.7 * (hashed(seed, trees) - 0.5)) * woods.wide
    high = np.float32(woods.high) * (0.55 + 0.75 * hashed(seed + 3, trees))
    thin = 1 / (np.float32(woods.wide) * (0.62 + 0.25 * hashed(seed + 5, trees)))
    starts = np.arange(trees[..., 0].size).reshape(*trees.shape[:-1], 1) * trees.shape[-1]
    highest = np.zeros(x.shape, np.float32)
    for near in (-1, 0, 1):
        at = cell + (starts + near)
        away = np.abs(x - middle.take(at)).astype(np.float32) * thin.take(at)
        np.clip(away, 0, 1, out=away)
        shape = 1 - (away if woods.pointed else away * away * away)
        np.maximum(highest, high.take(at) * shape, out=highest)
    return highest


def columns_of(view: View) -> Line:
    """(W, 3): three places within each column."""
    parts = ((np.arange(_PARTS) + 0.5) / _PARTS - 0.5) / view.height
    return view.x[:, None] + parts


def below(view: View, heights: Floats) -> Floats:
    """What lies under a line, (W, 3) heights -> coverage (H, W)."""
    cover = heights[None] - view.v[:, None, None]
    cover *= view.height
    cover += 0.5
    return np.clip(cover, 0, 1, out=cover).mean(axis=2)


def paint_ridge(land: Land, view: View, vista: Vista, ridge: Ridge, number: int) -> Floats:
    """Paint one of them, and give its outline (W,)."""
    heights = outline(ridge, columns_of(view), vista.seed + 7 * number)
    top, foot = view.row(float(heights.max()) + 1 / view.height), view.row(view.horizon - 0.16)
    line_, box = heights.mean(axis=1), (slice(top, foot), slice(None))
    cover = below(view, heights)[top:foot]
    relief, steep = _relief(view, ridge, line_, top, foot)
    tone = _texture(view, vista, ridge, number, top, foot)
    paint = colour(ridge.material, vista)[:, None, None] * tone
    if ridge.snow is not None:
        white = _snow(view, vista, ridge, number, relief, steep, top, foot)
        paint = paint + (colour("snow", vista)[:, None, None] - paint) * white
    elif vista.winter and ridge.woods is not None:
        paint = paint + (colour("snow", vista)[:, None, None] - paint) * np.clip(
            0.3 + 1.2 * (tone - 1) + 0.2 * relief, 0, 0.8)  # fmt: skip
    land.cover(cover, paint, ridge.distance, relief * np.float32(ridge.relief), box=box)
    if ridge.distance > 0.08:
        foggy = between(0.16, 0, view.v[top:foot] - view.horizon + 0.02)
        land.mist(cover * foggy[:, None] * np.float32(0.8 * ridge.distance), box)
    return line_


def _relief(
    view: View, ridge: Ridge, heights: Floats, top: int, foot: int
) -> tuple[Floats, Floats]:
    """How much slopes are lit from the left, -1 to 1, and the fine slope alone: (h, W).

    The slope of the ridge's line, looked up further to a side the deeper a place lies below it,
    makes spurs of it; straight down it would hang like curtains.
    """
    reach = int(0.3 * view.height) + 2
    x = view.start + (view.left + 0.5 + np.arange(-reach, view.width + reach)) / view.height
    steps = np.array([0.012, -0.012, 0.05, -0.05])[:, None]
    around = ridge.profile(x + steps)
    fine = (around[0] - around[1]) / 0.024
    broad = (around[2] - around[3]) / 0.1
    deep = np.clip(heights[None] - view.v[top:foot, None], 0, 0.5) * view.height
    columns = np.arange(view.width, dtype=np.float32) + reach
    steep = _looked_up(fine, columns + 0.5 * deep)
    relief = 0.6 * np.tanh(1.3 * steep) + 0.7 * np.tanh(
        1.3 * _looked_up(broad, columns - 0.32 * deep)
    )
    return relief, steep


def _looked_up(values: Floats, at: Floats) -> Floats:
    values = values.astype(np.float32)
    at = np.clip(at, 0, len(values) - 1.001)
    whole = at.astype(np.int32)
    first = values[whole]
    return first + (values[whole + 1] - first) * (at - whole)


def _texture(view: View, vista: Vista, ridge: Ridge, number: int, top: int, foot: int) -> Floats:
    """Lighter and darker places, about 1: crowns of woods, layers of rock, patches of fields."""
    v = view.v[top:foot]
    seed = vista.seed + 40 * number
    if ridge.bands:
        layers = line((v * ridge.bands).astype(np.float64), seed + 1)[:, None]
        return np.broadcast_to(0.86 + 0.3 * layers, (len(v), view.width)).astype(np.float32)
    often, tall, deep = {"pine": (34, 60, 0.5), "leaf": (30, 50, 0.5), "field": (5, 26, 0.4)}.get(
        ridge.material, (9, 14, 0.16)
    )
    visible = np.float32(deep * np.clip(view.height / (1.5 * often), 0, 1))
    spots = rows(view.x[None] * often, v.astype(np.float64) * tall, seed + 2)
    return 1 + visible * (spots - 0.5)


def _snow(
    view: View, vista: Vista, ridge: Ridge, number: int, relief: Floats, steep: Floats,
    top: int, foot: int,
) -> Floats:  # fmt: skip
    """(h, W): how white; it lies lower in gullies and on slopes to the left."""
    ragged = fractal(view.x * 9, vista.seed + number, 4)[None] - 0.5
    high = view.v[top:foot, None] - np.float32(ridge.snow or 0)
    return between(
        -0.05, 0.05, high + 0.16 * ragged + 0.07 * relief + 0.05 * between(-0.4, 0.4, steep)
    )
