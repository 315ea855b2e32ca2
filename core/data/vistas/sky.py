"""The sky: its colours, sun, moon and stars, and clouds on the wind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .country import DAY, Vista
from .light import Light
from .noise import Floats, between, drawn, hashed, rows
from .view import View

WIND = 0.16  # heights of a picture a second, from left to right
_COVER = {"clear": 0.33, "cloudy": 0.56, "fog": 0.5, "rain": 0.86, "snow": 0.8}
_OCTAVES = ((1.15, 1.5), (2.4, 3.1), (5.1, 6.4), (10.7, 13.0), (22.0, 27.0))
_SUN, _MOON = 0.042, 0.037  # radii
_WARM = np.array((1.0, 0.62, 0.28), np.float32)
_PALE = np.array((0.98, 0.96, 0.86), np.float32)
_STAR = np.array((0.9, 0.93, 1.0), np.float32)
_STARS = 22.0  # cells of stars a height


def paint_sky(
    view: View, vista: Vista, light: Light, times: NDArray[np.float64], across: NDArray[np.float64]
) -> Floats:
    """The rows from the top to a little below the horizon: (3, T, R, W) in 0 to 1.

    across: (T, W), where each column looks, which is the view's own u unless the camera turns.
    """
    v = view.v[: view.row(view.horizon - 0.06)]
    up = np.clip((v - view.horizon) / (1 - view.horizon), 0, 1)
    low, high = between(0, 0.38, up)[None], between(0.25, 1.05, up)[None]
    colour = light.horizon.T[..., None] + (light.middle - light.horizon).T[..., None] * low
    colour += (light.zenith.T[..., None] - colour) * high
    image = np.repeat(colour[..., None], view.width, axis=3)
    glow = _glow(light, across, v - view.horizon)
    for channel in range(3):
        image[channel] += glow * (_WARM[channel] - 0.6 * image[channel])
    if light.stars.max() > 0:
        _stars(image, view, vista, light, across, v)
    _sun(image, view, light, across, v)
    if light.moon.max() > 0:
        _moon(image, view, vista, light, across, v)
    _clouds(image, view, vista, light, times, across, v, glow)
    return image


def _round(x: NDArray[np.float64], y: NDArray, wide: float, high: float) -> Floats:
    """A soft round light: (T, W), (T, R) -> (T, R, W)."""
    columns = np.exp(-wide * x.astype(np.float32) ** 2)
    return np.exp(-high * y.astype(np.float32) ** 2)[:, :, None] * columns[:, None]


def _glow(light: Light, across: NDArray[np.float64], above: Floats) -> Floats:
    x, y = across - light.sun_x[:, None], above - light.sun_y[:, None]
    glow = _round(x, y, 5, 5) * 0.5 + _round(x, y, 2, 30) * 0.4
    return glow * light.glow[:, None, None]


def _sun(image: Floats, view: View, light: Light, across: NDArray[np.float64], v: Floats) -> None:
    x = across - light.sun_x[:, None]
    y = v - view.horizon - light.sun_y[:, None]
    shine = _round(x, y, 60, 60) * 0.3 + _round(x, y, 250, 250) * 0.4
    shine *= (between(-0.2, 0.0, light.height) * np.float32(1 - light.grey))[:, None, None]
    disc = _disc(x, y, _SUN, view.height) * np.float32(1 - min(1.0, 1.2 * light.grey))
    np.maximum(shine, disc, out=shine)
    tints = [np.ones_like(light.height)] + [
        np.interp(light.height, (-0.05, 0.1, 0.3), warm)
        for warm in ((0.55, 0.86, 0.97), (0.25, 0.6, 0.86))
    ]
    for channel, tint in enumerate(tints):
        image[channel] += (tint.astype(np.float32)[:, None, None] - image[channel]) * shine


def _disc(x: NDArray[np.float64], y: NDArray, radius: float, height: int) -> Floats:
    """Coverage by a disc, about one and a half pixels soft: (T, W), (T, R) -> (T, R, W)."""
    square = x.astype(np.float32)[:, None] ** 2 + y.astype(np.float32)[:, :, None] ** 2
    edge = height / (1.5 * 2 * radius)
    return np.clip(np.float32(radius**2 * edge + 0.5) - square * np.float32(edge), 0, 1)


def _moon(
    image: Floats, view: View, vista: Vista, light: Light, across: NDArray[np.float64], v: Floats
) -> None:
    """A crescent that looks at the sun of its vista's evening or morning, or full."""
    x = across - light.moon_x[:, None]
    y = v - view.horizon - light.moon_y[:, None]
    phase = 1.3 * drawn(vista.seed, 7) - 0.1
    disc = _disc(x, y, _MOON, view.height)
    if phase < 0.9:
        away = (0.022 + 0.03 * phase) * (1 if vista.hour % DAY < DAY / 2 else -1)
        disc *= 1 - _disc(x - away, y - 0.01, _MOON * 0.95, view.height)
    shine = _round(x, y, 40, 40) * 0.2
    np.maximum(disc, shine, out=disc)
    disc *= light.moon[:, None, None]
    for channel in range(3):
        image[channel] += (_PALE[channel] - image[channel]) * disc


def _stars(
    image: Floats, view: View, vista: Vista, light: Light, across: NDArray[np.float64], v: Floats
) -> None:
    """Few large ones in small pictures, many small ones in large; they turn with the hours."""
    faint = np.clip((160 - view.height) / 160, 0, 1) * 0.75  # ranks that small pictures leave out
    radius = max(0.0022, 0.62 / view.height)
    reach = int(np.ceil(2.2 * radius * view.height))
    down, right = (grid.reshape(-1, 1) for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    for moment in np.flatnonzero(light.stars > 0):
        left = across[moment] - light.turn[moment]
        x, y, rank = _stars_between(vista.seed, left, view.horizon, faint)
        bright = light.stars[moment] * rank**2 * between(0.03, 0.3, y - view.horizon)
        column, row = (x - left[0]) * view.height, (1 - y) * view.height - 0.5
        r, c = np.rint(row).astype(int) + down, np.rint(column).astype(int) + right
        near = ((r - row) ** 2 + (c - column) ** 2) / (radius * view.height) ** 2
        inside = (r >= 0) & (r < len(v)) & (c >= 0) & (c < view.width)
        shine = np.bincount((r * view.width + c)[inside], (bright * np.exp(-near))[inside],
                            len(v) * view.width)  # fmt: skip
        shine = shine.astype(np.float32).reshape(len(v), view.width)
        for channel in range(3):
            image[channel, moment] += shine * _STAR[channel]


def _stars_between(
    seed: int, across: NDArray[np.float64], horizon: float, faint: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], Floats]:
    """x, y and rank (0 to 1, the brightest) of the stars over these columns, but for the faint."""
    first, last = np.floor(across[0] * _STARS) - 1, np.floor(across[-1] * _STARS) + 2
    columns = np.arange(first, last).astype(np.int64)
    lines = np.arange(int(horizon * _STARS), int(_STARS) + 1)[:, None]
    rank = 1 - hashed(seed + 901, columns, lines) / 0.22
    line, column = np.nonzero(rank > faint)
    rank = (rank[line, column] - np.float32(faint)) / np.float32(1 - faint)
    line, column = lines[line, 0], columns[column]
    x = (column + hashed(seed + 902, column, line).astype(np.float64)) / _STARS
    y = (line + hashed(seed + 903, column, line).astype(np.float64)) / _STARS
    return x, y, rank


def _clouds(
    image: Floats,
    view: View,
    vista: Vista,
    light: Light,
    times: NDArray[np.float64],
    across: NDArray[np.float64],
    v: Floats,
    glow: Floats,
) -> None:
    above = np.maximum(v - view.horizon, 0)
    density = _density(view, vista.seed, times, across + view.start, above)
    edge = 1 - _COVER[vista.weather] - 0.1 * (drawn(vista.seed, 11) - 0.5)
    cover = between(edge - 0.06, edge + 0.1, density)
    solid = np.float32(0.3 if vista.weather == "fog" else 0.93)
    cover *= (between(-0.02, 0.1, v - view.horizon) * solid)[:, None]
    bright = 1 - between(edge + 0.02, edge + 0.3, density) * 0.85
    step = max(1, round(0.02 * view.height))
    bright[:, step:] += (density[:, step:] - density[:, :-step]) * 2.6
    np.clip(bright, 0, 1, out=bright)
    for channel in range(3):
        dark = light.dark[:, channel, None, None]
        colour = bright * (light.lit[:, channel, None, None] - dark)
        colour += dark
        colour += glow * 0.6 * (_WARM[channel] - colour)
        image[channel] += (colour - image[channel]) * cover


def _density(
    view: View,
    seed: int,
    times: NDArray[np.float64],
    x: NDArray[np.float64],
    above: Floats,
) -> Floats:
    """(T, R, W). Each octave drifts 12 % faster than the one before, so that shapes change."""
    y = -np.log(above.astype(np.float64) + 0.13)
    fine = 1 / (view.height * (above + 0.13))  # of a pixel, up the column
    total, most = np.zeros((len(times), len(above), view.width), np.float32), np.zeros(len(above))
    for octave, (wide, high) in enumerate(_OCTAVES):
        weight = np.clip(1.6 - 2.6 * np.maximum(high * fine, wide / view.height), 0, 1)
        weight = np.maximum(weight, 0 if octave else 0.02) * 0.52**octave
        if weight.max() <= 0:
            break
        drift = times * WIND * wide * (1 + 0.12 * octave)
        lines = y * high + (0.05 * (octave + 1) * times)[:, None] + 7.7 * octave
        columns = (x * wide - drift[:, None])[:, None]
        noise = rows(columns, lines, seed + 700 + octave)
        noise *= weight.astype(np.float32)[:, None]
        total += noise
        most += weight
    total /= most.astype(np.float32)[:, None]
    return total
