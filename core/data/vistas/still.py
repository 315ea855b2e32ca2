"""A tripod's view: one land, painted once, under a sky whose hours pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .fall import paint_fall
from .ground import paint_ground
from .land import SHADOWS, Land, misty
from .light import Light, light_at
from .noise import Floats
from .ridges import paint_ridge, ridges_of
from .scatter import things_behind, things_of
from .sketch import LAMP, MATERIALS, SHADE
from .sky import paint_sky
from .things import KINDS, Thing, colours, resampled
from .view import View
from .water import paint_water

AT_ONCE = 1 << 17  # pixels that are painted together: as many as caches hold
WET = ("lake", "coast")


@dataclass(frozen=True)
class Scenery:
    """behind: the land beyond the water, or all of it; before: the land before it, or None.

    ridge, skyline: the highest line of the land and of what stands on it; edge: the far edge of
    the near ground; all (W,), above the lower edge.
    """

    behind: Land
    before: Land | None
    ridge: Floats
    skyline: Floats
    edge: Floats


def painted(vista: Vista, view: View) -> Scenery:
    """What does not change while hours pass."""
    land = Land(view.height, view.width, vista.weather)
    lines = [
        paint_ridge(land, view, vista, ridge, number)
        for number, ridge in enumerate(ridges_of(vista, view.horizon))
    ]
    for row in things_behind(view, vista):
        stand(land, view, vista, row, shadows=False)
    before = Land(view.height, view.width, vista.weather) if vista.place in WET else None
    edge = paint_ground(before or land, view, vista)
    for row in things_of(view, vista):
        stand(before or land, view, vista, row)
    ridge = np.max([*lines, edge, np.full(view.width, view.horizon - 0.01)], axis=0)
    clear = land.clear if before is None else land.clear * before.clear
    covered = clear < 0.5
    skyline = np.where(covered.any(axis=0), view.v[covered.argmax(axis=0)], 0)
    return Scenery(land, before, ridge, np.maximum(skyline, ridge), edge)


def stand(land: Land, view: View, vista: Vista, things: list[Thing], shadows: bool = True) -> None:
    """Paint things, the furthest first, each on its shadow."""
    for thing in things:
        if shadows and KINDS[thing.kind].casts and thing.high * view.height > 3:
            _cast(land, view, thing)
        if KINDS[thing.kind].glow:
            _glow(land, view, thing)
    for thing in things:
        _set_down(land, view, vista, thing)


def _set_down(land: Land, view: View, vista: Vista, thing: Thing) -> None:
    high = thing.high * view.height
    wide = high * KINDS[thing.kind].wide
    top = (1 - thing.y) * view.height - high
    left = (thing.x - view.start) * view.height - view.left - wide / 2
    rows, above = _within(top, top + high, view.height)
    columns, beside = _within(left, left + wide, view.width)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    texture = resampled(thing.kind, thing.variant, thing.flip, top, left, high)[:, above, beside]
    paint, box = colours(thing.kind, vista), (rows, columns)
    cover = texture[:MATERIALS].sum(axis=0)
    own = np.zeros((3, *cover.shape), np.float32)
    for number in range(paint.shape[1]):
        own += paint[:, number, None, None] * texture[number]
    far = misty(vista.weather, thing.distance)
    land.lay(cover, own * (1 - far), cover * far, texture[SHADE] * 0.75, 0.56, box)
    if texture[LAMP].any():
        land.shine(texture[LAMP] * (1 - far), box)


def _within(start: float, end: float, most: int) -> tuple[slice, slice]:
    """The pixels between two places that lie in a picture: there, and among all between them."""
    first = int(np.floor(start))
    low, high = max(first, 0), max(min(int(np.ceil(end)), most), max(first, 0))
    return slice(low, high), slice(low - first, high - first)


def _around(view: View, thing: Thing, wide: float, up: float, down: float) -> tuple | None:
    """The box about a thing's foot, and the places in it, relative to the foot: (h, 1), (1, w)."""
    column = (thing.x - view.start) * view.height - view.left
    row, reach = (1 - thing.y) * view.height, wide * view.height
    rows = slice(max(0, int(row - up * view.height)),
                 max(0, min(view.height, int(row + down * view.height) + 2)))  # fmt: skip
    columns = slice(max(0, int(column - reach) - 1),
                    max(0, min(view.width, int(column + reach) + 2)))  # fmt: skip
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    y = view.v[rows, None] - np.float32(thing.y)
    x = (view.x[columns] - thing.x).astype(np.float32)[None]
    return (rows, columns), x, y


def _cast(land: Land, view: View, thing: Thing) -> None:
    """Its shadow for each place of the sun, which stands ahead: towards the viewer."""
    kind, high = KINDS[thing.kind], thing.high
    wide = 0.36 * kind.casts * high * min(kind.wide, 1.2)
    found = _around(view, thing, 1.2 * high + wide, 0.05 * high, 0.32 * high)
    if found is None:
        return
    box, x, y = found
    sun = np.array(SHADOWS, np.float32)[:, None, None]
    over, down = -3 * high * sun, -high * (0.08 + 0.4 * np.abs(sun))
    along = np.clip((x * over + 6 * y * down) / (over**2 + 6 * down**2), 0, 1)
    away = ((x - along * over) / wide) ** 2 + ((y - along * down) / (0.36 * wide)) ** 2
    land.shadow(np.clip(1.3 - np.sqrt(away), 0, 1) * (0.85 - 0.38 * along), box)


def _glow(land: Land, view: View, thing: Thing) -> None:
    """Light from its windows on the ground about it."""
    found = _around(view, thing, 2 * thing.high, 0.9 * thing.high, 0.9 * thing.high)
    if found is not None:
        box, x, y = found
        spread = (x / (0.9 * thing.high)) ** 2 + ((y - 0.05 * thing.high) / (0.4 * thing.high)) ** 2
        land.shine(0.4 * np.exp(-spread), box)


def film(vista: Vista, view: View, times: NDArray[np.float64], scene: Scenery) -> NDArray[np.uint8]:
    """Seconds (T,) -> RGB (T, H, W, 3)."""
    frames = np.empty((len(times), view.height, view.width, 3), np.uint8)
    step = max(1, AT_ONCE // (view.height * view.width))
    for start in range(0, len(times), step):
        part = times[start : start + step]
        light = light_at(vista, vista.hours(part))
        frames[start : start + step] = _painted(vista, view, part, light, scene)
    return frames


def _painted(
    vista: Vista, view: View, times: NDArray[np.float64], light: Light, scene: Scenery
) -> NDArray[np.uint8]:
    image = np.zeros((3, len(times), view.height, view.width), np.float32)
    sky = paint_sky(view, vista, light, times, np.broadcast_to(view.u, (len(times), view.width)))
    image[:, :, : sky.shape[2]] = sky
    scene.behind.lit(image, light)
    if scene.before is not None:
        paint_water(image, view, vista, light, times, scene.edge)
        scene.before.lit(image, light, view.row(view.horizon + 0.62))
    paint_fall(image, view, vista, light, times)
    return pixels(image)


def pixels(image: Floats) -> NDArray[np.uint8]:
    """(3, T, H, W) in 0 to 1 -> RGB (T, H, W, 3), rounded."""
    np.clip(image, 0, 1, out=image)
    image *= 255
    image += 0.5
    return image.astype(np.uint8).transpose(1, 2, 3, 0)
