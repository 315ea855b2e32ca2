"""A supersampled Pillow canvas with affine transforms and a foreground channel.

Coordinates are pixels of a 64 x 64 picture, y pointing down, whatever the real size. The picture
has four channels: red, green, blue and coverage. The background is painted with coverage 0 and
everything else with 255, so that one reduction yields both the frame and its mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

UNITS = 64
SUPERSAMPLE = 4
EDGE = 0.9  # width of the dark line around shapes: thinner ones vanish at 64 pixels
SOFTEN = 0.45  # how far that line goes towards the shape's own colour

_ANGLES = np.linspace(0, 2 * math.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_T = np.linspace(0, 1, 8)[:, None]
_BEZIER = np.concatenate([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)
_TANGENT = np.concatenate([_T - 1, 1 - 2 * _T, _T], axis=1)


class Frame(NamedTuple):
    """An affine map: (x, y) -> (a x + b y + c, d x + e y + f)."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def then(self, a: float, b: float, c: float, d: float, e: float, f: float) -> Frame:
        """The map that applies the given one first and this one after."""
        return Frame(
            self.a * a + self.b * d,
            self.a * b + self.b * e,
            self.a * c + self.b * f + self.c,
            self.d * a + self.e * d,
            self.d * b + self.e * e,
            self.d * c + self.e * f + self.f,
        )


def _soft(edge: Colour, fill: Colour) -> Colour:
    """The colour of an outline: softer than the ink, so that small pictures stay calm."""
    red, green, blue = (round(e + SOFTEN * (f - e)) for e, f in zip(edge, fill, strict=True))
    return red, green, blue


class Canvas:
    """Draws filled shapes on `image` (mode RGBX) through `frame`."""

    def __init__(self, draw: ImageDraw.ImageDraw, frame: Frame, coverage: int = 255) -> None:
        self.draw = draw
        self.frame = frame
        self.coverage = coverage

    @classmethod
    def over(cls, image: Image.Image, coverage: int = 255) -> Canvas:
        """A canvas that covers the whole of a supersampled square image."""
        unit = image.width / UNITS
        return cls(ImageDraw.Draw(image), Frame(unit, 0, 0, 0, unit, 0), coverage)

    def moved(self, x: float, y: float) -> Canvas:
        return self._with(1, 0, x, 0, 1, y)

    def turned(self, angle: float) -> Canvas:
        """Turned about the origin, clockwise on the screen, in radians."""
        if not angle:
            return self
        cos, sin = math.cos(angle), math.sin(angle)
        return self._with(cos, -sin, 0, sin, cos, 0)

    def stretched(self, x: float, y: float) -> Canvas:
        return self._with(x, 0, 0, 0, y, 0)

    def _with(self, *frame: float) -> Canvas:
        return Canvas(self.draw, self.frame.then(*frame), self.coverage)

    def disc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float | None = None,
        fill: Colour = (0, 0, 0),
        edge: Colour | None = None,
    ) -> None:
        """An ellipse of half axes rx, ry about (x, y); `edge` adds an outline around it."""
        ry = rx if ry is None else ry
        if edge is not None:
            self._fill(_CIRCLE * (rx + EDGE, ry + EDGE) + (x, y), _soft(edge, fill))
        self._fill(_CIRCLE * (rx, ry) + (x, y), fill)

    def shape(
        self, points: Sequence[Point] | np.ndarray, fill: Colour, edge: Colour | None = None
    ) -> None:
        """A polygon; `edge` adds an outline, right for shapes that are roughly convex."""
        corners = np.asarray(points, dtype=float)
        if edge is not None:
            outward = corners - corners.mean(axis=0)
            outward /= np.maximum(np.hypot(outward[:, :1], outward[:, 1:]), 1e-6)
            self._fill(corners + outward * (1.5 * EDGE), _soft(edge, fill))
        self._fill(corners, fill)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: Colour,
        edge: Colour | None = None,
    ) -> None:
        """A rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], fill, edge)

    def curve(
        self,
        start: Point,
        bend: Point,
        end: Point,
        radius: float,
        fill: Colour,
        edge: Colour | None = None,
    ) -> None:
        """A thick quadratic Bezier stroke with flat ends, `radius` either side of the line."""
        control = np.array([start, bend, end], dtype=float)
        middle, tangent = _BEZIER @ control, _TANGENT @ control
        tangent /= np.maximum(np.hypot(tangent[:, :1], tangent[:, 1:]), 1e-6)
        normal = tangent[:, ::-1] * (-1, 1)
        if edge is not None:
            self._stroke(middle, normal * (radius + EDGE), _soft(edge, fill))
        self._stroke(middle, normal * radius, fill)

    def _stroke(self, middle: np.ndarray, side: np.ndarray, fill: Colour) -> None:
        self._fill(np.concatenate([middle + side, (middle - side)[::-1]]), fill)

    def _fill(self, points: np.ndarray, fill: Colour) -> None:
        a, b, c, d, e, f = self.frame
        screen = points @ ((a, d), (b, e)) + (c, f)
        self.draw.polygon(screen.ravel().tolist(), fill=(*fill, self.coverage))


def blank(size: int) -> Image.Image:
    """An empty supersampled picture for frames of `size` pixels."""
    if size < 1:
        raise ValueError(f"size must be positive, got {size}")
    return Image.new("RGBX", (size * SUPERSAMPLE, size * SUPERSAMPLE))


def resolve(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Supersampled picture -> frame (size, size, 3) and mask (size, size) of 0 or 255, uint8."""
    pixels = np.asarray(image.reduce(SUPERSAMPLE))
    mask = np.where(pixels[..., 3] > 0, 255, 0).astype(np.uint8)
    return pixels[..., :3], mask
