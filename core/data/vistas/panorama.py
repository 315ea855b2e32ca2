"""A picture of any width and height, anywhere along a country; a part equals the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .still import film, painted
from .view import View

_AT_ONCE = 1 << 19  # pixels that are painted together


def panorama(
    vista: Vista, size: tuple[int, int], left: int = 0, top: int = 0, whole: int | None = None
) -> NDArray[np.uint8]:
    """A part of the endless picture of a country at its hour: RGB (height, width, 3).

    size: (height, width) of the part in pixels; left: its first column, in pixels to the right of
    the country's middle, where the sun stands about; top: its first row; whole: how many rows the
    endless picture has, as many as the part unless told. Neighbouring parts fit to the bit.
    """
    height, width = size
    whole = height if whole is None else whole
    picture = np.empty((height, width, 3), np.uint8)
    step = max(1, _AT_ONCE // whole)
    for start in range(0, width, step):
        view = View(whole, min(step, width - start), left + start, vista.start)
        columns = film(vista, view, np.zeros(1), painted(vista, view))[0]
        picture[:, start : start + step] = columns[top : top + height]
    return picture
