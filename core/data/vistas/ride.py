"""Riding on and on: the view along a road or a river, from moment to moment."""

from __future__ import annotations

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

_CLOUDS = 0.12  # of a tripod's pace: a ride lasts minutes, not hours


def ride(vista: Vista, view: View, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Seconds (T,) -> RGB (T, H, W, 3)."""
    frames = np.empty((len(times), view.height, view.width, 3), np.uint8)
    step = max(1, AT_ONCE // (view.height * view.width))
    for start in range(0, len(times), step):
        part = times[start : start + step]
        frames[start : start + step] = _painted(vista, view, part)
    return frames


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
