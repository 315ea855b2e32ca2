"""Where a ride goes: a road or a river that winds on for ever, and what it looks like from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .light import Light
from .noise import Floats, between, drawn, line
from .view import View

FOCAL = 0.9  # of the camera, in heights of a picture
EYE = 1.7  # metres above the ground
HORIZON = 0.5
_BENDS = ((430.0, 60.0), (150.0, 13.0))  # metres along, metres aside
_SIGHT = {"clear": 5200.0, "cloudy": 3600.0, "fog": 110.0, "rain": 520.0, "snow": 380.0}
WIDE = {"road": 2.2, "track": 2.1, "river": 5.6}  # metres from the middle to the edge
_BEAM = np.array((0.5, 0.42, 0.28), np.float32)  # of the headlights


def centre(z: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """How far aside the way lies, in metres, after z metres."""
    aside = np.zeros(z.shape)
    for number, (along, most) in enumerate(_BENDS):
        aside += 2 * most * (line(z / along, seed + 500 + number) - 0.5)
    return aside


@dataclass(frozen=True)
class Drive:
    """T moments of a ride. z: metres along the way (T,)."""

    view: View
    vista: Vista
    light: Light
    times: NDArray[np.float64]

    @cached_property
    def z(self) -> NDArray[np.float64]:
        return position(self.vista, self.times)

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Metres aside (T,)."""
        return centre(self.z, self.vista.seed)

    @cached_property
    def heading(self) -> NDArray[np.float64]:
        """Metres aside for each metre on (T,), looking a little ahead."""
        return (
            0.9 * (centre(self.z + 24, self.vista.seed) - centre(self.z - 12, self.vista.seed)) / 36
        )

    @cached_property
    def looks(self) -> NDArray[np.float64]:
        """(T, W): where each column looks, metres aside for each metre on."""
        return self.view.u / FOCAL + self.heading[:, None]

    def clear(self, distance: NDArray) -> Floats:
        """The share of light that comes through so many metres of air."""
        return np.exp(-np.asarray(distance) / _SIGHT[self.vista.weather]).astype(np.float32)

    def lit(self, colour: Floats, facing: float = 0.55) -> Floats:
        """(3,) -> (T, 3) in ambient light and sun."""
        return colour * (self.light.ambient + np.float32(facing) * self.light.sun)

    @cached_property
    def lamps(self) -> Floats:
        """(T,): how much the headlights are on; nobody rows with any."""
        on = between(-0.04, -0.18, self.light.height)
        return on * np.float32(0.0 if self.vista.way == "river" else 1.0)

    def beam(self, away: NDArray) -> Floats:
        """(N, 3): the light that headlights throw so many metres (N,) ahead."""
        return np.exp(-((away / 22) ** 2)).astype(np.float32)[:, None] * _BEAM


def position(vista: Vista, times: NDArray[np.floating]) -> NDArray[np.float64]:
    """Seconds (T,) -> metres along the way (T,)."""
    return 2000 * drawn(vista.seed, 98) + vista.speed * np.asarray(times, np.float64)
