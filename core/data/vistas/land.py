"""The land as a linear picture: what each pixel returns of every kind of light.

A tripod's land does not change from frame to frame, its light does: so each layer is painted
once, and a frame is a sum of few maps times the colours of its moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .light import Light
from .noise import Floats, between

SHADOWS = (-0.34, -0.17, 0.0, 0.17, 0.34)  # places of the sun that shadows are painted for
_CLEAR, _HAZE, _LAMP = 0, 1, 2
_SHADOW = slice(3, 8)
_COLOUR, _SUNNY, _SIDE = slice(8, 11), slice(11, 14), slice(14, 17)
LAMPLIGHT = np.array((1.0, 0.78, 0.38), np.float32)
FACING = 0.58  # of the sunlight, what falls on a thing that faces nowhere in particular
_FOG = {"clear": 0.0, "cloudy": 0.06, "fog": 0.82, "rain": 0.42, "snow": 0.38}

Box = tuple[slice, slice]
_ALL: Box = (slice(None), slice(None))


def misty(weather: str, distance: float) -> float:
    """The share of haze over what stands at a distance from 0, here, to 1, at the horizon."""
    return 1 - (1 - distance) * (1 - _FOG[weather] * min(1.0, 1.6 * distance + 0.12))


@dataclass
class Land:
    """maps: (17, H, W): clear sky, haze, lamplight, five shadows, and the colour that ambient
    light, sunlight and light from the side give."""

    height: int
    width: int
    weather: str
    maps: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.maps = np.zeros((17, self.height, self.width), np.float32)
        self.maps[_CLEAR] = 1

    def cover(
        self,
        cover: Floats,
        colour: Floats,
        distance: float,
        shade: Floats | None = None,
        facing: Floats | float = FACING,
        box: Box = _ALL,
    ) -> None:
        """Paint over what is there. cover, shade: (h, w) of the box; colour: (3,) or (3, h, w).

        shade: -1 to 1, how much of the light from the left a place returns.
        """
        haze = np.float32(misty(self.weather, distance))
        if colour.ndim == 1:
            colour = colour[:, None, None]
        self.lay(cover, colour * (cover * (1 - haze)), cover * haze, shade, facing, box)

    def lay(
        self,
        cover: Floats,
        colour: Floats,
        haze: Floats,
        shade: Floats | None,
        facing: Floats | float,
        box: Box,
    ) -> None:
        """As `cover`, with colour (3, h, w) and haze (h, w) that hold their own coverage."""
        maps = self.maps[:, *box]
        maps *= 1 - cover
        maps[_HAZE] += haze
        maps[_COLOUR] += colour
        maps[_SUNNY] += colour * facing
        if shade is not None:
            maps[_SIDE] += colour * shade

    def mist(self, share: Floats, box: Box = _ALL) -> None:
        """Haze before what is there: (h, w)."""
        maps = self.maps[:, *box]
        maps *= 1 - share
        maps[_HAZE] += share

    def shine(self, lamp: Floats, box: Box = _ALL) -> None:
        """Lamplight by night: (h, w)."""
        self.maps[_LAMP, *box] += lamp

    def shadow(self, dark: Floats, box: Box = _ALL) -> None:
        """What keeps the sun away when it stands at each of SHADOWS: (5, h, w)."""
        part = self.maps[_SHADOW][:, *box]
        np.maximum(part, dark, out=part)

    @property
    def clear(self) -> Floats:
        """(H, W): how much of what lies behind is seen."""
        return self.maps[_CLEAR]

    def lit(self, image: Floats, light: Light, top: int = 0) -> None:
        """Paint the land over an image (3, T, H, W), in place, from row `top` on."""
        maps = self.maps[:, top:]
        part = image[:, :, top:]
        part *= maps[_CLEAR]
        sunlight = self._sunlight(light, maps)
        side = light.side[:, None, None]
        lamp = maps[_LAMP] * light.night[:, None, None] if maps[_LAMP].any() else None
        for channel in range(3):
            colour, sunny, sideways = (maps[s.start + channel] for s in (_COLOUR, _SUNNY, _SIDE))
            sum_ = sideways * -side
            sum_ += sunny
            if sunlight is not None:
                sum_ *= sunlight
            sum_ *= light.sun[:, channel, None, None]
            sum_ += colour * light.ambient[:, channel, None, None]
            sum_ += maps[_HAZE] * light.haze[:, channel, None, None]
            if lamp is not None:
                sum_ += lamp * LAMPLIGHT[channel]
            part[channel] += sum_

    def _sunlight(self, light: Light, maps: Floats) -> Floats | None:
        """(T, H, W): what shadows leave of it, None where nothing casts any."""
        if not maps[_SHADOW].any():
            return None
        place = np.clip(light.sun_x, SHADOWS[0], SHADOWS[-1])
        strength = between(-0.02, 0.08, light.height)
        dark = np.zeros((len(place), *maps.shape[1:]), np.float32)
        for number, at in enumerate(SHADOWS):
            weight = np.clip(1 - np.abs(place - at) / 0.17, 0, 1).astype(np.float32) * strength
            if weight.max() > 0:
                dark += maps[3 + number] * weight[:, None, None]
        return np.subtract(1, dark, out=dark)
