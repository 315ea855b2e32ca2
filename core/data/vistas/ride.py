"""Riding on and on: the view along a road or a river, from moment to moment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .fall import paint_fall
from .light import light_at
from .road import FOCAL, Drive
from .sky import paint_sky
from .still import AT_ONCE, pixels
from .valley import far_slices, near_slices, paint_slices
from .verge import paint_verge
from .view import View
from .way import paint_ground, paint_river, plane_of

_TOGETHER = 30.0  # seconds
_CLOUDS = 0.12  # of a tripod's pace: a ride lasts minutes, not hours


def ride(vista: Vista, view: View, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Seconds (T,) -> RGB (T, H, W, 3)."""
    frames = np.empty((len(times), view.height, view.width, 3), np.uint8)
    for part in _runs(times, max(1, AT_ONCE // (view.height * view.width))):
        frames[part] = _painted(vista, view, times[part])
    return frames


def _runs(times: NDArray[np.float64], most: int) -> Iterator[slice]:
    """At most so many moments at once, and none far from the first, since all things between them
    are looked at."""
    start = 0
    while start < len(times):
        near = np.abs(times[start : start + most] - times[start]) < _TOGETHER
        count = len(near) if near.all() else int(near.argmin())
        yield slice(start, start + count)
        start += count


def _painted(vista: Vista, view: View, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    light = light_at(vista, vista.hours(times))
    drive = Drive(view, vista, light, times)
    image = np.zeros((3, len(times), view.height, view.width), np.float32)
    sky = paint_sky(view, vista, light, _CLOUDS * times, view.u + FOCAL * drive.heading[:, None])
    image[:, :, : sky.shape[2]] = sky
    for slices in far_slices(drive):
        paint_slices(image, drive, slices)
    plane = plane_of(drive)
    paint_ground(image, drive, plane)
    river = vista.way == "river"
    seen = np.ones(image.shape[1:], np.float32) if river else None
    for slices in near_slices(drive):
        paint_slices(image, drive, slices, seen)
    paint_verge(image, drive, seen)
    if seen is not None:
        paint_river(image, drive, plane, seen)
    paint_fall(image, view, vista, light, 1.6 * times)
    return pixels(image)
