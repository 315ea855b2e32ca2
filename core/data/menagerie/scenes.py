"""The six backgrounds: flat, pale behind the actor, each with three arrangements.

Whatever shines is in the upper left corner; tall things stand at the sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from .canvas import UNITS, Canvas, Colour, blank

GROUND = 60.0  # where the actors stand

# The ground's colour under the middle and the rim of an actor's shadow.
SHADOWS: dict[str, tuple[Colour, Colour]] = {
    "savanna": ((172, 134, 62), (188, 150, 74)),
    "snow": ((172, 194, 222), (190, 210, 234)),
    "beach": ((206, 178, 120), (220, 194, 136)),
    "night": ((34, 66, 70), (42, 78, 80)),
    "room": ((132, 90, 60), (148, 104, 72)),
    "forest": ((92, 146, 72), (106, 160, 82)),
}


def _sky(image: Image.Image, top: Colour, bottom: Colour, horizon: float) -> Canvas:
    """Paints a vertical gradient down to `horizon` and returns the canvas above it."""
    rows = np.linspace(0, UNITS / horizon, image.height).clip(0, 1)[:, None]
    colours = np.rint((1 - rows) * top + rows * bottom).astype(np.uint8)
    pixels = np.zeros((image.height, image.width, 4), np.uint8)
    pixels[..., :3] = colours[:, None]
    image.paste(Image.frombuffer("RGBX", image.size, pixels.tobytes(), "raw", "RGBX", 0, 1))
    return Canvas.over(image, coverage=0)


def _cloud(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    for dx, dy, radius in ((-4.5, 0.8, 2.6), (0, -0.6, 3.8), (4.5, 0.8, 2.8)):
        canvas.disc(x + dx, y + dy, radius, None, colour)


def _fir(canvas: Canvas, x: float, foot: float, size: float, leaf: Colour) -> None:
    tree = canvas.moved(x, foot).stretched(size, size)
    tree.box(-1.3, -5, 1.3, 0, (142, 112, 90))
    for y, half in ((-4, 7.0), (-10, 5.6), (-16, 4.2)):
        tree.shape([(-half, y), (half, y), (0, y - 9)], leaf)


def _savanna(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (255, 196, 122), (255, 240, 196), 42)
    canvas.disc(10, 10, 6, None, (255, 250, 214))
    x, size = ((57, 1.0), (60, 1.15), (6, 0.9))[variant]
    canvas.box(0, 42, 64, 64, (224, 190, 104))
    tree = canvas.moved(x, 43).stretched(size, size)
    tree.curve((0, 0), (1, -8), (0, -14), 1.3, (150, 104, 62))
    tree.disc(0, -16, 9, 3.4, (168, 178, 84))


def _snow(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (146, 190, 236), (204, 226, 246), 42)
    canvas.disc(10, 10, 5, None, (255, 250, 226))
    shift = (0, 8, -8)[variant]
    for x, top, half in ((10 + shift, 25, 22), (50 + shift, 20, 26)):
        canvas.shape([(x - half, 44), (x + half, 44), (x, top)], (158, 188, 222))
        canvas.shape([(x - 6, top + 6), (x + 6, top + 6), (x, top)], (236, 244, 252))
    canvas.box(0, 42, 64, 64, (226, 238, 250))
    _fir(canvas, (60, 4, 60)[variant], 46, 0.9, (116, 160, 156))


def _beach(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (120, 204, 250), (208, 240, 252), 36)
    canvas.disc(10, 10, 6, None, (255, 240, 120))
    _cloud(canvas, (50, 32, 56)[variant], (8, 6, 14)[variant], (244, 252, 255))
    canvas.box(0, 34, 64, 44, (70, 166, 220))
    canvas.box(0, 42.5, 64, 45, (222, 244, 250))
    canvas.box(0, 45, 64, 64, (246, 222, 164))


def _night(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (58, 64, 140), (116, 118, 190), 44)
    canvas.disc(10, 10, 6, None, (255, 244, 190))
    canvas.disc(13, 8.5, 5, None, (66, 72, 148))
    stars = ((26, 5), (40, 9), (52, 5), (59, 17), (5, 27), (20, 20), (47, 24), (60, 31))
    for x, y in stars[variant : variant + 6]:
        canvas.disc(x, y, 1.0, None, (250, 246, 210))
    canvas.disc((14, 50, 32)[variant], 56, 40, 15, (62, 104, 104))
    canvas.box(0, 46, 64, 64, (54, 94, 94))


def _room(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (250, 230, 204), (250, 230, 204), 44)
    canvas.box(4, 6, 18, 22, (255, 255, 255))
    canvas.box(5.5, 7.5, 16.5, 20.5, (150, 214, 246))
    canvas.box(10.2, 6, 11.8, 22, (255, 255, 255))
    x, colour = ((50, (160, 206, 176)), (53, (206, 170, 210)), (47, (240, 190, 130)))[variant]
    canvas.box(x - 6, 8, x + 6, 18, (176, 140, 110))
    canvas.box(x - 4.5, 9.5, x + 4.5, 16.5, colour)
    canvas.box(0, 44, 64, 46, (255, 250, 240))
    canvas.box(0, 46, 64, 64, (176, 126, 88))


def _forest(image: Image.Image, variant: int) -> None:
    canvas = _sky(image, (178, 224, 206), (224, 244, 218), 42)
    canvas.disc(10, 10, 5, None, (255, 250, 200))
    near, far = (92, 158, 112), (142, 196, 152)
    for x in ((20, 34, 47), (16, 30, 44), (22, 38, 50))[variant]:
        _fir(canvas, x, 44, 0.95, far)
    for x in ((4, 60), (2, 56), (8, 62))[variant]:
        _fir(canvas, x, 46, 1.3, near)
    canvas.box(0, 43, 64, 64, (132, 188, 98))


_SCENES: dict[str, Callable[[Image.Image, int], None]] = {
    "savanna": _savanna,
    "snow": _snow,
    "beach": _beach,
    "night": _night,
    "room": _room,
    "forest": _forest,
}


def paint_scene(scene: str, variant: int, size: int) -> Image.Image:
    """The supersampled background for frames of `size` pixels, with coverage 0 everywhere."""
    image = blank(size)
    _SCENES[scene](image, variant)
    return image
