"""Heads without their faces: ears, mane and skull, which are seen from behind as well.

Every function draws about the middle of the head, some twelve units in radius; `back` says that
the head is turned away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Colour
from .looks import BLACK, ORANGE, Look

SIDES = (-1, 1)
_A = np.linspace(0, 2 * np.pi, 60, endpoint=False)
_MANE = np.stack([np.cos(_A), np.sin(_A)], axis=1) * (14.4 + 1.3 * np.cos(12 * _A))[:, None]


def _lion(canvas: Canvas, look: Look, back: bool) -> None:
    canvas.shape(_MANE, look.mark, look.edge)
    if back:
        return
    for side in SIDES:
        canvas.disc(8.2 * side, -8.2, 3.0, None, look.fur, look.edge)
    canvas.disc(0, 0.5, 10.2, 9.8, look.fur)


def _penguin(canvas: Canvas, look: Look, back: bool) -> None:
    canvas.disc(0, 0, 12.2, 11.8, look.fur, look.edge)
    if not back:
        for side in SIDES:
            canvas.disc(4.4 * side, -1.2, 5.4, 6.2, look.belly)
        canvas.disc(0, 4.5, 8.6, 5.4, look.belly)


def _pointed_ears(canvas: Canvas, look: Look, back: bool, tip: Colour) -> None:
    for side in SIDES:
        corners = np.array([(11.2, -3), (10.6, -17), (1.8, -9.5)]) * (side, 1)
        canvas.shape(corners, look.fur, look.edge)
        if not back:
            inner = np.array([(9.9, -6), (9.5, -13.2), (4.8, -9.2)]) * (side, 1)
            canvas.shape(inner, tip)


def _cat(canvas: Canvas, look: Look, back: bool) -> None:
    _pointed_ears(canvas, look, back, look.mark)
    canvas.disc(0, 0.5, 12.8, 11, look.fur, look.edge)


def _fox(canvas: Canvas, look: Look, back: bool) -> None:
    _pointed_ears(canvas, look, back, look.hand)
    cheeks = [
        (-12.4, -3),
        (-8, -10),
        (0, -11.4),
        (8, -10),
        (12.4, -3),
        (15, 5),
        (6, 9.5),
        (0, 11.6),
    ]
    outline = np.array([*cheeks, (-6, 9.5), (-15, 5)])
    canvas.shape(outline, look.fur, look.edge)
    if not back:
        for side in SIDES:
            white = np.array([(14.6, 5), (7.5, 0.2), (2.2, 3), (0, 6), (0, 11.4), (6, 9.4)])
            canvas.shape(white * (side, 1), look.mark)


def _dog(canvas: Canvas, look: Look, back: bool) -> None:
    canvas.disc(0, 0, 11.8, 11.4, look.fur, look.edge)
    for side in SIDES:
        canvas.moved(11.2 * side, -0.5).turned(-0.22 * side).disc(
            0, 0, 4.2, 9.4, look.mark, look.edge
        )
    if not back:
        canvas.disc(4.8, -2.8, 4.8, 5.2, look.mark)


def _elephant(canvas: Canvas, look: Look, back: bool) -> None:
    for side in SIDES:
        canvas.disc(12.2 * side, -1.5, 7.2, 9.4, look.fur, look.edge)
        if not back:
            canvas.disc(12.8 * side, -1.2, 4.8, 6.8, look.mark)
    canvas.disc(0, 0, 10.4, 11.2, look.fur, look.edge)


def _rabbit(canvas: Canvas, look: Look, back: bool) -> None:
    for side in SIDES:
        ear = canvas.moved(5.2 * side, -13.2).turned(0.16 * side)
        ear.disc(0, 0, 3.7, 9.6, look.fur, look.edge)
        if not back:
            ear.disc(0, 0.5, 1.9, 7.2, look.mark)
    canvas.disc(0, 1, 11.8, 10.8, look.fur, look.edge)


def _chick(canvas: Canvas, look: Look, back: bool) -> None:
    for bend in (-5.0, 0.0, 5.0):
        canvas.curve((0, -9), (bend * 0.4, -13), (bend, -16.2), 1.3, ORANGE)
    canvas.disc(0, 0, 12.4, 11.8, look.fur, look.edge)


def _robot(canvas: Canvas, look: Look, back: bool) -> None:
    canvas.curve((0, -9), (0, -13), (0, -15), 1.1, look.edge)
    canvas.disc(0, -16, 2.6, None, look.hand, look.edge)
    for side in SIDES:
        canvas.box(12 * side - 2, -4, 12 * side + 2, 4, look.hand, look.edge)
    canvas.box(-11.5, -10.5, 11.5, 10, look.fur, look.edge)
    if not back:
        canvas.box(-9.2, -7.2, 9.2, 2.6, BLACK)


def _round_ears(canvas: Canvas, look: Look, colour: Colour, inner: Colour | None = None) -> None:
    for side in SIDES:
        canvas.disc(9 * side, -9, 4.7, None, colour, look.edge)
        if inner is not None:
            canvas.disc(9 * side, -8.6, 2.6, None, inner)


def _panda(canvas: Canvas, look: Look, back: bool) -> None:
    _round_ears(canvas, look, look.mark)
    canvas.disc(0, 0, 12.6, 11.6, look.fur, look.edge)


def _bear(canvas: Canvas, look: Look, back: bool) -> None:
    _round_ears(canvas, look, look.fur, None if back else look.mark)
    canvas.disc(0, 0, 12.4, 11.6, look.fur, look.edge)


def _frog(canvas: Canvas, look: Look, back: bool) -> None:
    for side in SIDES:
        canvas.disc(7 * side, -8.5, 5.6, None, look.fur, look.edge)
    canvas.disc(0, 1.5, 13.8, 9.8, look.fur, look.edge)
    for side in SIDES:
        canvas.disc(7 * side, -8, 5, None, look.fur)


SKULLS: dict[str, Callable[[Canvas, Look, bool], None]] = {
    "lion": _lion,
    "penguin": _penguin,
    "cat": _cat,
    "dog": _dog,
    "elephant": _elephant,
    "rabbit": _rabbit,
    "chick": _chick,
    "robot": _robot,
    "panda": _panda,
    "frog": _frog,
    "bear": _bear,
    "fox": _fox,
}
