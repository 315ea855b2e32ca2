"""A country through any camera: pictures, and what is true of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .panorama import panorama
from .ride import ride
from .road import HORIZON
from .still import Scenery, film, painted
from .view import View, middle_view

_KEPT = 1 << 16  # pixels: sceneries of larger pictures are kept one at a time


def frames(
    vista: Vista, camera: str, times: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """times: (T,) seconds, any real numbers; size: (height, width) -> RGB (T, height, width, 3).

    A frame depends on the vista, the camera, its own time and the size alone.
    """
    times = np.asarray(times, np.float64)
    if camera == "ride":
        return ride(vista, middle_view(size, vista.start, HORIZON), times)
    if camera == "panorama":
        picture = panorama(vista, size, left=-(size[1] // 2))
        return np.repeat(picture[None], len(times), axis=0)
    view = middle_view(size, vista.start)
    return film(vista, view, times, scenery(vista, view))


def scenery(vista: Vista, view: View) -> Scenery:
    """The land that a tripod sees, which does not change while hours pass, so that it is kept."""
    return (_few if view.height * view.width > _KEPT else _many)(vista, view)


_many = lru_cache(maxsize=8)(painted)
_few = lru_cache(maxsize=1)(painted)
