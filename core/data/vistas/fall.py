"""Rain and snow before the camera, and the haze of fog."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .light import Light
from .noise import Floats, between, hashed, split
from .view import View

_LAYERS = ((9, 1.0), (15, 0.75), (24, 0.55))  # how many a height, and how fast


def paint_fall(
    image: Floats, view: View, vista: Vista, light: Light, times: NDArray[np.float64]
) -> None:
    """Over an image (3, T, H, W), in place."""
    if vista.weather == "fog":
        share = 0.16 * between(0.8, 0.3, view.v)[:, None]
        for channel in range(3):
            image[channel] += share * (light.haze[:, channel, None, None] - image[channel])
    if vista.weather not in ("rain", "snow"):
        return
    cover = np.zeros(image.shape[1:], np.float32)
    for number, (often, speed) in enumerate(_LAYERS):
        most = view.height / 4.5  # finer ones would be blurs that overlap
        if number and often > most:
            break
        often = min(often, most)
        drops = _rain if vista.weather == "rain" else _flakes
        cover += drops(view, vista.seed + 800 + 40 * number, often, speed, times)
    for channel in range(3):
        white = np.minimum(1.25 * light.ambient[:, channel, None, None] + 0.05, 1)
        image[channel] += cover * (white - image[channel])


def _rain(view: View, seed: int, often: float, speed: float, times: NDArray[np.float64]) -> Floats:
    """Slanting streaks: (T, H, W)."""
    across, down = 2.2 * often, 0.45 * often
    v = view.v.astype(np.float64)
    cell, within = split((view.u[None] + 0.14 * v[:, None]) * across)
    line, part = split(v * down + (2 * speed * down * times)[:, None])
    drop = hashed(seed, cell, line[..., None])
    middle = 0.25 + 0.5 * hashed(seed + 10, cell, line[..., None])
    thin = max(0.07, 0.5 * across / view.height)
    seen = np.exp(-(((within - middle) / np.float32(thin)) ** 2))
    seen *= drop < 0.4
    seen *= (np.sin(np.pi * part) * np.float32(0.16 * np.clip(view.height / 110, 0.6, 1)))[
        ..., None
    ]
    return seen


def _flakes(
    view: View, seed: int, often: float, speed: float, times: NDArray[np.float64]
) -> Floats:
    """Flakes that sway as they fall: (T, H, W)."""
    height = view.v * often + (0.45 * speed * often * times)[:, None]
    line, part = split(height)
    sway = 0.12 * np.sin(2 * np.pi * (0.7 * height / often + speed)) + 0.1 * times[:, None]
    cell, within = split(view.u * often + (sway * often)[..., None])
    line = line[..., None]
    flake = hashed(seed, cell, line)
    x = within - (0.25 + 0.5 * hashed(seed + 10, cell, line))
    y = part[..., None] - (0.25 + 0.5 * hashed(seed + 20, cell, line))
    radius = max(0.075, 0.62 * often / view.height)
    seen = np.exp(-(x * x + y * y) / np.float32(radius**2))
    seen *= flake < 0.26
    seen *= 0.75
    return seen
