"""Drawing a thing once, by material, so that any light can colour it later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .noise import Floats

SIDE = 128  # texels of the largest texture
_FINE = 3  # pixels that are drawn for each
MATERIALS = 4
LAMP, SHADE = MATERIALS, MATERIALS + 1
CHANNELS = MATERIALS + 2

Point = tuple[float, float]


class Sketch:
    """A drawing `wide` across and 1 high, whose foot stands in the middle at (0, 0), y up."""

    def __init__(self, wide: float) -> None:
        self.wide = wide
        side = SIDE * _FINE
        self._materials, self._shade, self._lamp = (
            Image.new("L", (side, side), start) for start in (0, 128, 0)
        )
        self._draw, self._tone, self._light = (
            ImageDraw.Draw(image) for image in (self._materials, self._shade, self._lamp)
        )

    def _at(self, point: Point) -> Point:
        side = SIDE * _FINE
        return (point[0] / self.wide + 0.5) * side, (1 - point[1]) * side

    def shape(self, material: int, points: Sequence[Point], shade: float | None = 0.0) -> None:
        """A polygon; shade: -1 to 1, what it returns of the light from the left; None keeps what
        is there."""
        places = [self._at(point) for point in points]
        self._draw.polygon(places, fill=material + 1)
        if shade is not None:
            self.tone(points, shade)

    def tone(self, points: Sequence[Point], shade: float) -> None:
        """Only the shade of a polygon."""
        self._tone.polygon([self._at(point) for point in points], fill=round(128 + 127 * shade))

    def block(self, material: int, left: float, low: float, right: float, high: float,
              shade: float | None = 0.0) -> None:  # fmt: skip
        """A rectangle."""
        self.shape(material, [(left, low), (right, low), (right, high), (left, high)], shade)

    def disc(self, material: int, x: float, y: float, wide: float, high: float,
             shade: float | None = 0.0) -> None:  # fmt: skip
        """An ellipse with its half axes."""
        turn = np.linspace(0, 2 * np.pi, 25)
        points = zip(x + wide * np.cos(turn), y + high * np.sin(turn), strict=True)
        self.shape(material, [(float(a), float(b)) for a, b in points], shade)

    def stroke(self, material: int, start: Point, end: Point, wide: float,
               shade: float | None = None) -> None:  # fmt: skip
        """A bar from one point to another."""
        (x, y), (a, b) = start, end
        length = max(float(np.hypot(a - x, b - y)), 1e-6)
        over, up = -(b - y) / length * wide / 2, (a - x) / length * wide / 2
        corners = [(x + over, y + up), (a + over, b + up), (a - over, b - up), (x - over, y - up)]
        self.shape(material, corners, shade)

    def window(self, material: int, left: float, low: float, right: float, high: float) -> None:
        """A rectangle that shines by night."""
        self.block(material, left, low, right, high)
        corners = [self._at((left, high)), self._at((right, low))]
        self._light.rectangle([*corners[0], *corners[1]], fill=255)

    def textures(self) -> dict[int, Floats]:
        """By its side in texels, 128 to 4: (CHANNELS, side, side), rows from the top; coverage by
        each material, lamps, and shade where there is anything."""
        names = np.asarray(self._materials)
        shade = (np.asarray(self._shade, np.float32) - 128) / 127 * (names > 0)
        lamp = np.asarray(self._lamp, np.float32) / 255
        parts = [(names == number + 1).astype(np.float32) for number in range(MATERIALS)]
        texture = _halved(np.stack([*parts, lamp, shade]), _FINE)
        found = {SIDE: texture}
        while len(texture[0]) > 4:
            texture = _halved(texture, 2)
            found[len(texture[0])] = texture
        return found


def _halved(texture: Floats, times: int) -> Floats:
    channels, side, _ = texture.shape
    less = side // times
    return np.ascontiguousarray(
        texture.reshape(channels, less, times, less, times).mean(axis=(2, 4), dtype=np.float32)
    )
