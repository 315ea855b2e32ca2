"""The things that actions use, each drawn about its own origin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Colour

INK: Colour = (38, 32, 54)
WATER: Colour = (20, 110, 245)
GLASS: Colour = (232, 246, 255)
GLASS_EDGE: Colour = (70, 100, 140)
RED: Colour = (226, 30, 44)
SOFA: Colour = (206, 42, 62)
SOFA_SEAT: Colour = (236, 84, 96)
SOFA_EDGE: Colour = (112, 16, 38)
NOTES: tuple[Colour, Colour] = ((226, 30, 170), (20, 150, 70))
PANELS: tuple[Colour, ...] = ((232, 40, 48), (255, 214, 40), (38, 110, 230), (250, 250, 250))


def _glass(canvas: Canvas, level: float) -> None:
    """A tumbler held about its middle; `level` 1 is full."""
    canvas.shape([(-5, -7), (5, -7), (4.2, 6), (-4.2, 6)], GLASS, GLASS_EDGE)
    if level > 0.02:
        top = 5.2 - 10.4 * level
        half = 3.6 + 0.7 * level
        canvas.shape([(-half, top), (half, top), (3.5, 5.2), (-3.5, 5.2)], WATER)


def _apple(canvas: Canvas, left: float) -> None:
    """An apple held from below, eaten from the side of the face; `left` 1 is whole."""
    radius = 2.4 + 3.6 * left
    canvas.disc(0, 0, radius, None, RED, (110, 8, 24))
    if left < 0.97:
        canvas.disc(-radius * 0.75, -0.5, radius * 0.8 * (1.05 - 0.5 * left), None, (255, 244, 205))
    canvas.curve((0, -radius + 1), (0.3, -radius - 1), (1.2, -radius - 2.4), 0.9, (96, 56, 24))
    canvas.disc(3.0, -radius - 1.4, 2.3, 1.3, (60, 170, 50))


def _panel(index: int) -> np.ndarray:
    angles = np.linspace(index, index + 1, 9) * (2 * np.pi / len(PANELS))
    rim = 5.6 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([[(0.0, 0.0)], rim])


_WEDGES = [_panel(index) for index in range(len(PANELS))]


def _ball(canvas: Canvas, _: float) -> None:
    canvas.disc(0, 0, 5.6, None, INK, INK)
    for wedge, colour in zip(_WEDGES, PANELS, strict=True):
        canvas.shape(wedge, colour)


def _sofa(canvas: Canvas, pressed: float) -> None:
    """A red sofa standing on the origin; the seat sinks by `pressed`."""
    seat = -12.0 + 1.5 * pressed
    canvas.box(-22, -28, 22, -4, SOFA, SOFA_EDGE)
    canvas.box(-20, seat, 20, -3, SOFA_SEAT, SOFA_EDGE)
    for side in (-1, 1):
        canvas.disc(25 * side, -16, 4.2, None, SOFA, SOFA_EDGE)
        canvas.box(25 * side - 4.2, -16, 25 * side + 4.2, -2, SOFA, SOFA_EDGE)
        canvas.disc(25 * side, -16, 4.2, None, SOFA)
        canvas.box(25 * side - 3, -2, 25 * side + 3, 0, SOFA_EDGE)


def _note(canvas: Canvas, kind: float) -> None:
    """A musical note; `kind` 0 or 1 picks its colour."""
    colour = NOTES[round(kind)]
    for grow, fill in ((0.9, (255, 255, 255)), (0.0, colour)):
        canvas.disc(-1.5, 3.5, 3.2 + grow, 2.5 + grow, fill)
        canvas.box(-0.2 - grow, -6 - grow, 1.8 + grow, 3.5, fill)
        canvas.shape(
            [(-0.2 - grow, -6.5 - grow), (5.5 + grow, -3.5), (5.5, 0 + grow), (1, -3)], fill
        )


_Z = np.array(
    [(-4, -5), (4, -5), (4, -3), (-0.8, 3), (4, 3), (4, 5), (-4, 5), (-4, 3), (0.8, -3), (-4, -3)]
)
_Z_HALO = _Z + np.sign(_Z) * (1.0, 1.0)


def _letter(canvas: Canvas, size: float) -> None:
    """A snoring Z, about ten units tall at size 1."""
    canvas = canvas.stretched(size, size)
    canvas.shape(_Z_HALO, (255, 255, 255))
    canvas.shape(_Z, (76, 60, 200))


PROPS: dict[str, Callable[[Canvas, float], None]] = {
    "glass": _glass,
    "apple": _apple,
    "ball": _ball,
    "sofa": _sofa,
    "note": _note,
    "letter": _letter,
}
