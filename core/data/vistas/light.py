"""The light of an hour: sun, moon and the colours that they give to sky, land and clouds."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from .country import DAY, Vista, elevation, rising
from .noise import Floats, between

_HEIGHTS = (-0.34, -0.17, -0.05, 0.05, 0.2, 0.5)  # elevations that the tables are for


def _table(*colours: str) -> Floats:
    numbers = [[int(c[at : at + 2], 16) for at in (0, 2, 4)] for c in colours]
    return np.array(numbers, np.float32) / 255


_ZENITH = _table("0a1028", "162254", "3a4a90", "5c86c6", "4c90da", "327ad2")
_MIDDLE = _table("121c40", "38427e", "9c7698", "ccb4bc", "92c0ea", "7cbaea")
_DUSK = _table("202c52", "7a5a7c", "fa8244", "ffba64", "e0e4e4", "cae2f2")
_DAWN = _table("202c52", "6c6696", "f69a94", "ffd2a2", "e0e4e8", "cae2f2")
_LIT = _table("3a4260", "74608a", "ffa074", "ffdeba", "fffdf9", "ffffff")
_DARK = _table("1a203c", "443f6c", "90608a", "b49aae", "b2c0d8", "aebed8")
_AMBIENT = np.array(
    [(0.27, 0.33, 0.54), (0.33, 0.36, 0.54), (0.47, 0.42, 0.53),
     (0.62, 0.57, 0.60), (0.67, 0.69, 0.74), (0.70, 0.73, 0.77)], np.float32
)  # fmt: skip
_SUNLIGHT = np.array(
    [(0, 0, 0), (0.02, 0.01, 0.03), (0.36, 0.15, 0.06),
     (0.56, 0.35, 0.15), (0.46, 0.41, 0.31), (0.43, 0.41, 0.35)], np.float32
)  # fmt: skip
_MOONLIGHT = np.array((0.10, 0.13, 0.17), np.float32)
_GREY = {"clear": 0.0, "cloudy": 0.38, "fog": 0.72, "rain": 0.82, "snow": 0.7}
_LUMA = np.array((0.3, 0.59, 0.11), np.float32)
_OVERCAST = np.array((0.94, 0.98, 1.04), np.float32)
_REACH = 0.34  # where the sun rises to the left, and sets to the right of the middle


@dataclass(frozen=True)
class Light:
    """Of T moments. Colours are (T, 3), numbers (T,); places are from the middle of the picture
    and from its horizon, in heights of a picture.

    side: -1 with the sun to the left, 1 to the right. night: how much windows shine. grey: how
    overcast it is.
    """

    height: NDArray[np.float64]
    zenith: Floats
    middle: Floats
    horizon: Floats
    haze: Floats
    ambient: Floats
    sun: Floats
    lit: Floats
    dark: Floats
    side: Floats
    night: Floats
    stars: Floats
    moon: Floats
    glow: Floats
    sun_x: NDArray[np.float64]
    sun_y: NDArray[np.float64]
    moon_x: NDArray[np.float64]
    moon_y: NDArray[np.float64]
    turn: NDArray[np.float64]
    grey: float


def light_at(vista: Vista, hours: NDArray[np.float64]) -> Light:
    """The light of a country at some hours (T,)."""
    height, grey = elevation(hours, vista.season), _GREY[vista.weather]
    sky = _sky(height, hours, grey)
    sun_x, sun_y = sun_place(hours, vista.season)
    moon_x = 0.09 * ((hours + DAY / 2) % DAY - DAY / 2)  # highest at midnight
    moon_y = 0.42 - 1.1 * (1.1 * moon_x) ** 2
    up = between(-0.03, 0.08, moon_y) * (1 - min(1.0, 1.15 * grey))
    moon = between(0.02, -0.15, height) * up
    sun = _between(_SUNLIGHT, height) * (1 - grey) + _MOONLIGHT * moon[:, None]
    # By night the moon casts the shade; in between nothing does.
    switch = 2 * between(-0.18, -0.08, height) - 1
    side = np.where(switch > 0, sun_x * 2.4, moon_x * 1.6) * np.abs(switch)
    return Light(
        height=height,
        **sky,
        sun=sun,
        side=np.clip(side, -1, 1).astype(np.float32),
        night=between(0.08, -0.1, height),
        stars=between(-0.1, -0.28, height) * np.float32(1 - min(1.0, 1.3 * grey)),
        moon=moon,
        glow=between(-0.3, 0.0, height) * between(0.5, 0.05, height) * np.float32(1 - 0.85 * grey),
        sun_x=sun_x,
        sun_y=sun_y,
        moon_x=moon_x,
        moon_y=moon_y,
        turn=2 * _REACH / 12 * hours,
        grey=grey,
    )


def sun_place(hours: NDArray[np.float64], season: str) -> tuple[NDArray, NDArray]:
    """Where the sun stands (T,): from the middle of the picture to the right, and above the
    horizon, in heights of a picture. It rises on the left and stays in sight all day."""
    rise = rising(season)
    across = -_REACH + 2 * _REACH * (hours % DAY - rise) / (DAY - 2 * rise)
    height = elevation(hours, season)
    return across, np.where(height > 0, 0.5 * np.tanh(2.1 * height), 1.05 * height)


def _sky(height: NDArray[np.float64], hours: NDArray[np.float64], grey: float) -> dict[str, Floats]:
    morning = (0.5 + 0.5 * np.sin(2 * pi * hours / DAY))[:, None].astype(np.float32)
    dusk, dawn = _between(_DUSK, height), _between(_DAWN, height)
    horizon = dusk + (dawn - dusk) * morning
    middle, ambient = _between(_MIDDLE, height), _between(_AMBIENT, height)
    tint = (horizon - _luma(horizon)) * np.float32(0.4 * grey)  # also grey evenings are warm
    cover = _luma(middle) * _OVERCAST * 0.94
    low = between(0.4, 0.1, np.abs(height))[:, None]
    colours = {
        "zenith": _between(_ZENITH, height) * (1 - 0.93 * grey) + cover * np.float32(0.93 * grey),
        "middle": middle * (1 - 0.93 * grey) + cover * np.float32(0.93 * grey) + 0.4 * tint * low,
        "horizon": horizon * (1 - 0.8 * grey) + cover * np.float32(0.8 * grey) + tint * low,
        "ambient": _ambient(ambient, height, grey),
        "lit": _overcast(_between(_LIT, height), 0.86, grey) + 0.5 * tint * low,
        "dark": _overcast(_between(_DARK, height), 0.88, grey) + 0.3 * tint * low,
    }
    colours["haze"] = colours["horizon"] * 0.55 + colours["middle"] * 0.45
    return {name: colour.astype(np.float32) for name, colour in colours.items()}


def _ambient(ambient: Floats, height: NDArray[np.float64], grey: float) -> Floats:
    """Under clouds less coloured, and brighter: what the sun lacks comes from all of the sky."""
    plain = _luma(ambient) * _OVERCAST * 1.12
    more = 1 + np.float32(0.45 * grey) * between(-0.05, -0.2, height)[:, None]
    return (ambient + (plain - ambient) * np.float32(0.7 * grey)) * more


def _overcast(colour: Floats, less: float, grey: float) -> Floats:
    return colour + (_luma(colour) * np.float32(less) - colour) * np.float32(grey)


def _between(table: Floats, height: NDArray[np.float64]) -> Floats:
    channels = [np.interp(height, _HEIGHTS, table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _luma(colour: Floats) -> Floats:
    return (colour * _LUMA).sum(axis=-1, keepdims=True)
