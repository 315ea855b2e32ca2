"""What is true of a frame: when and where it is, its lines, and how far away things are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .films import scenery
from .light import light_at
from .noise import Floats
from .road import EYE, FOCAL, HORIZON, Drive, position
from .scatter import things_behind, things_of
from .still import WET
from .things import KINDS
from .valley import far_slices, near_slices, outline_of, paint_slices
from .verge import paint_verge, seen_of, stand_of
from .view import View, middle_view


@dataclass(frozen=True)
class Near:
    """One thing: its kind, metres to it, and its box in pixels, which may reach beyond the
    picture: left, top, right, bottom."""

    kind: str
    away: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Truth:
    """Of T frames, H x W. Heights are above the lower edge, in heights of a picture.

    hours: since midnight; elevation: of the sun, 0 at the horizon; sun: from the middle to the
    right, and above the lower edge (T, 2); sun_seen: whether it is up, in the picture, and not
    hidden by what stands before it or by weather (T,); ridge: of the land (T, W); skyline: of all
    that stands on it; water: of the water line, None where there is none; depth: metres to the
    ground of each row below the horizon (H,), infinite above; position: metres along the way
    (T,); heading: metres aside for each metre on; things: of each frame, the furthest first.
    """

    place: str
    season: str
    weather: str
    camera: str
    hours: NDArray[np.float64]
    times_of_day: tuple[str, ...]
    elevation: NDArray[np.float64]
    sun: NDArray[np.float64]
    sun_seen: NDArray[np.bool_]
    ridge: Floats
    skyline: Floats
    water: float | None
    depth: NDArray[np.float64]
    position: NDArray[np.float64]
    heading: NDArray[np.float64]
    things: tuple[tuple[Near, ...], ...]


def truth(vista: Vista, camera: str, times: NDArray[np.floating], size: tuple[int, int]) -> Truth:
    """As `films.frames` takes them: what is true of each frame."""
    times = np.asarray(times, np.float64)
    view = middle_view(size, vista.start, HORIZON if camera == "ride" else 0.4)
    if camera == "panorama":
        view = View(size[0], size[1], -(size[1] // 2), vista.start)
        times = np.zeros_like(times)
    drive = Drive(view, vista, light_at(vista, vista.hours(times)), times)
    light, rides = drive.light, camera == "ride"
    ridge, skyline, things = _of_ride(drive) if rides else _of_still(view, vista, len(times))
    below = view.horizon - view.v.astype(np.float64)
    depth = np.where(below > 0, FOCAL * EYE / np.maximum(below, 1e-9), np.inf)
    still = np.zeros(len(times))
    heading = drive.heading if rides else still
    sun = np.stack([light.sun_x - FOCAL * heading, view.horizon + light.sun_y], axis=1)
    wet = vista.place in WET or vista.place == "river"
    return Truth(
        vista.place, vista.season, vista.weather, camera, vista.hours(times),
        tuple(vista.time_of_day(float(time)) for time in times), light.height, sun,
        _sun_seen(view, sun, skyline, light.grey), ridge, skyline, view.horizon if wet else None,
        depth, position(vista, times) if rides else still, heading, things,
    )  # fmt: skip


def _sun_seen(view: View, sun: NDArray[np.float64], skyline: Floats, grey: float) -> NDArray:
    column = np.floor(sun[:, 0] * view.height - view.left).astype(int)
    inside = (column >= 0) & (column < view.width) & (sun[:, 1] < 1)
    line = skyline[np.arange(len(sun)), np.clip(column, 0, view.width - 1)]
    return inside & (sun[:, 1] > line) & (grey < 0.6)


def _of_still(view: View, vista: Vista, count: int) -> tuple[Floats, Floats, tuple]:
    scene = scenery(vista, view)
    rows = [*things_behind(view, vista), *things_of(view, vista)]
    near = []
    for thing in (thing for row in rows for thing in row):
        high = thing.high * view.height
        middle = (thing.x - view.start) * view.height - view.left
        half, foot = high * KINDS[thing.kind].wide / 2, (1 - thing.y) * view.height
        away = FOCAL * EYE / max(view.horizon - thing.y, 1e-3)
        near.append(Near(thing.kind, away, (middle - half, foot - high, middle + half, foot)))
    ridge, skyline = (np.repeat(line[None], count, axis=0) for line in (scene.ridge, scene.skyline))
    return ridge, skyline, (tuple(near),) * count


def _of_ride(drive: Drive) -> tuple[Floats, Floats, tuple]:
    view, count = drive.view, len(drive.times)
    shape = (count, view.height, view.width)
    image, seen = np.zeros((3, *shape), np.float32), np.ones(shape, np.float32)
    ridge = np.full((count, view.width), view.horizon, np.float32)
    for slices in (*far_slices(drive), *near_slices(drive)):
        paint_slices(image, drive, slices, seen)
        np.maximum(ridge, outline_of(drive, replace(slices, trees=None)), out=ridge)
    paint_verge(image, drive, seen)
    seen[:, view.row(view.horizon) :] = 0
    covered = seen < 0.5
    skyline = np.where(covered.any(axis=1), view.v[covered.argmax(axis=1)], 0)
    return ridge, np.maximum(skyline, ridge), _things_beside(drive)


def _things_beside(drive: Drive) -> tuple:
    stand = stand_of(drive)
    sights = seen_of(drive, stand)
    found: list[list[Near]] = [[] for _ in drive.times]
    for moment, thing, away, column, foot, high, wide in zip(
        sights.moment, sights.thing, sights.away, sights.column, sights.foot, sights.high,
        sights.wide, strict=True,
    ):  # fmt: skip
        left, right = float(column - wide / 2), float(column + wide / 2)
        box = (left, float(foot - high), right, float(foot))
        found[moment].append(Near(stand.kinds[thing], float(away), box))
    return tuple(map(tuple, found))
