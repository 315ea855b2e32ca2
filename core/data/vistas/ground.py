"""The near ground of a still: meadow, snow, sand or a shore, with paths and flowers on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .country import Vista
from .land import Land
from .materials import colour
from .noise import Floats, between, drawn, fractal, hashed, line, rows, split
from .ridges import Line, below, columns_of
from .view import View

_PATHS = 2.2  # heights of a picture from one path to the next
_SURFACE = {
    "desert": ("dune", "dune light", "dune dark"),
    "coast": ("sand", "sand light", "pebble"),
}
_MEADOW = ("grass", "grass light", "grass dark")


def shore_of(vista: Vista) -> Callable[[Line], Floats]:
    """The far edge of the near ground: any x (...) -> its height above the lower edge."""
    seed, place = vista.seed, vista.place

    def shore(x: Line) -> Floats:
        if place == "lake":
            return 0.08 + 0.17 * (fractal(x * 0.7, seed + 31, 3, 0.45) - 0.4)
        if place == "coast":
            return 0.18 + 0.16 * (fractal(x * 0.45, seed + 31, 3, 0.35) - 0.5)
        far = 0.31 if place == "desert" else 0.395
        return far + 0.02 * (fractal(x * 1.5, seed + 32, 3) - 0.5)

    return shore


def paint_ground(land: Land, view: View, vista: Vista) -> Floats:
    """Paint it, and give its far edge (W,)."""
    heights = shore_of(vista)(columns_of(view)).astype(np.float32)
    edge = heights.mean(axis=1)
    top = view.row(float(heights.max()) + 1 / view.height)
    box = (slice(top, view.height), slice(None))
    v = view.v[top:]
    deep = np.clip(edge[None] - v[:, None], 0, None)  # below the far edge
    cover = below(view, heights)[top:]
    plain, light, dark = (colour(name, vista)[:, None, None]
                          for name in _SURFACE.get(vista.place, _MEADOW))  # fmt: skip
    broad, fine = _mottled(view, vista, v)
    paint = plain + (light - plain) * np.clip(1.7 * broad - 0.4, 0, 1)
    calm = np.float32(0.4 if vista.winter or vista.place == "desert" else 1)  # smooth ground
    paint += (dark - paint) * np.clip(1.5 * fine - 0.6, 0, 0.5) * calm
    paint *= 1 - 0.34 * calm * np.clip(deep / 0.4, 0, 1) ** 0.8
    shade = (broad - 0.5) * 0.35
    if vista.place == "desert":
        shade = _ripples(view, vista, v)
    land.cover(cover, paint, 0.04, shade, box=box)
    if vista.place == "coast":
        _wet(land, view, vista, edge, top)
    if vista.place in ("meadow", "mountains") and vista.season in ("spring", "summer"):
        _bloom(land, view, vista, deep, top)
    if vista.place in ("meadow", "village", "mountains", "forest"):
        _paths(land, view, vista, edge, top)
    return edge


def _mottled(view: View, vista: Vista, v: Floats) -> tuple[Floats, Floats]:
    """Broad and fine patches, which are flatter the further away; (h, W) each, 0 to 1."""
    away = np.log(np.maximum(view.horizon - v, 0).astype(np.float64) + 0.02)
    x = view.x[None]
    broad = rows(x * 2.5, away * 4, vista.seed + 41) * 0.65
    broad += rows(x * 9, away * 9, vista.seed + 42) * 0.35
    seen = np.float32(np.clip(view.height / 120, 0.3, 1))
    fine = rows(x * 23, away * 13, vista.seed + 43) * 0.6
    fine += rows(x * 51, away * 29, vista.seed + 49) * 0.4
    fine = 0.5 + seen * (fine - 0.5)
    return broad, fine


def _ripples(view: View, vista: Vista, v: Floats) -> Floats:
    """What the wind has written in the sand: (h, W), -1 to 1."""
    away = np.log(np.maximum(view.horizon - v, 0).astype(np.float64) + 0.03)
    bend = rows(view.x[None] * 1.2, away * 2, vista.seed + 44) - 0.5
    wave = np.sin(26 * away[:, None] + 9 * bend + 3 * view.x[None]).astype(np.float32)
    seen = np.clip(view.height * (view.horizon - v) / 26, 0, 1)[:, None]
    return (0.35 * wave * seen + 0.9 * bend).astype(np.float32)


def _wet(land: Land, view: View, vista: Vista, edge: Floats, top: int) -> None:
    """Sand is darker where waves have been."""
    under = edge[None] - view.v[top:, None]
    cover = between(0.045, 0.01, under) * between(-0.01, 0.0, under) * 0.55
    wet = colour("pebble", vista) * 0.8
    land.cover(cover, wet, 0.04, box=(slice(top, None), slice(None)))


def _bloom(land: Land, view: View, vista: Vista, deep: Floats, top: int) -> None:
    """Drifts of flowers: broad where they stand, and single heads in the foreground."""
    v = view.v[top:]
    away = np.log(np.maximum(view.horizon - v, 0).astype(np.float64) + 0.02)
    much = 0.25 * drawn(vista.seed, 62)
    where = rows(view.x[None] * 1.8, away * 5 + 3, vista.seed + 45)
    dots = _dots(view, vista.seed + 46, v, 34)
    cover = between(0.62 - much, 0.78 - much, where) * dots * between(0.0, 0.03, deep)
    box = (slice(top, None), slice(None))
    land.cover(cover * 0.85, colour("flower", vista), 0.04, box=box)


def _dots(view: View, seed: int, v: Floats, often: float) -> Floats:
    """Round heads, one in each cell of a ground that lies down: (h, W), where they are finer than
    pixels as much as they cover."""
    below = np.maximum(view.horizon - v, 0).astype(np.float64) + 0.02
    down, y = split(np.log(below) * 0.42 * often)
    down = down[:, None]
    across, x = split(view.x * often + hashed(seed + 2, down).astype(np.float64))
    x = x - (0.3 + 0.4 * hashed(seed, down, across))
    y = y[:, None] - (0.3 + 0.4 * hashed(seed + 1, down, across))
    pixel = (often / view.height * np.maximum(1, 0.42 / below)).astype(np.float32)[:, None]
    size = 0.4 * np.sqrt(hashed(seed + 3, down, across))
    heads = np.clip((size - np.sqrt(x * x + y * y)) / pixel + 0.5, 0, 1)
    seen = np.clip(1.6 - 3 * pixel, 0, 1)
    return heads * seen + 0.25 * (1 - seen)


def _paths(land: Land, view: View, vista: Vista, edge: Floats, top: int) -> None:
    """One here and there, winding from the foreground to the far edge."""
    cells = np.floor(view.x[[0, -1]] / _PATHS).astype(int)
    v, material = view.v[top:], colour("path", vista)
    part = np.clip((view.horizon - v) / view.horizon, 0, 1)  # 0 far, 1 at the lower edge
    wide = (0.002 + 0.085 * part**1.5).astype(np.float64)
    for cell in range(cells[0] - 1, cells[1] + 2):
        if drawn(vista.seed + 47, cell) > 0.55:
            continue
        seed = vista.seed + 48 + 13 * cell
        bend = line(1.9 * np.sqrt(part.astype(np.float64)) + 5 * drawn(seed, 1), seed)
        middle = (cell + 0.3 + 0.4 * drawn(seed, 2)) * _PATHS
        middle = middle + (bend - 0.5) * (0.12 + 0.6 * part)
        away = np.abs(view.x[None] - middle[:, None]).astype(np.float32)
        cover = np.clip((wide.astype(np.float32)[:, None] - away) * view.height + 0.5, 0, 1)
        cover *= np.clip((edge[None] - v[:, None] - 0.004) * view.height, 0, 1)
        grass = between(0.35, 0.1, away / wide.astype(np.float32)[:, None]) * 0.35
        cover *= 0.8 * (1 - grass)
        land.cover(cover, material, 0.04, box=(slice(top, None), slice(None)))
