"""Lakes and the sea: what stands above the water line, mirrored in waves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .country import Vista
from .light import Light
from .noise import Floats, between, rows
from .view import View

_DEEP = {"lake": (0.09, 0.2, 0.28), "coast": (0.05, 0.28, 0.4)}
_SUNNY, _MOONLIT = (1.0, 0.86, 0.62), (0.9, 0.92, 0.95)


@dataclass(frozen=True)
class Mirror:
    """Where each pixel below the horizon looks (T, R, W): in a row above, at `upper` among all
    pixels of a channel, and by the share `part` in the row under it, `below` pixels further."""

    upper: NDArray[np.int32]
    part: Floats
    below: int

    def of(self, channel: Floats) -> Floats:
        """(T, H, W) -> what is mirrored of it (T, R, W)."""
        flat = channel.reshape(-1)
        seen = flat.take(self.upper)
        lower = flat.take(self.upper + np.int32(self.below))
        lower -= seen
        lower *= self.part
        seen += lower
        return seen


def mirrored(view: View, moved: Floats) -> Mirror:
    """moved: (T, R, W), how many rows further down than a calm mirror's each pixel looks."""
    first = view.row(view.horizon)
    calm = 2 * (1 - view.horizon) * view.height - 1 - np.arange(first, view.height)
    row = np.clip(moved + calm.astype(np.float32)[:, None], 0, max(first - 1.001, 0))
    row = row.astype(np.float32)
    upper = row.astype(np.int32)
    part = row - upper
    upper *= view.width
    upper += np.arange(view.width, dtype=np.int32)
    upper += (np.arange(len(moved), dtype=np.int32) * (view.height * view.width))[:, None, None]
    return Mirror(upper, part, view.width if first > 1 else 0)


def paint_water(
    image: Floats, view: View, vista: Vista, light: Light, times: NDArray[np.float64], edge: Floats
) -> None:
    """Fill the rows below the horizon of an image (3, T, H, W), in place.

    Rows above are mirrored and shifted up or down alone, so that a column needs no neighbours.
    edge: (W,), the far edge of the near ground, where the sea breaks.
    """
    first = view.row(view.horizon)
    depth = view.horizon - view.v[first:]
    swell = 1.0 if vista.place == "lake" else 1.9
    broad, fine = _waves(view, vista, times, depth)
    waves = broad + 0.6 * fine - 0.8
    reach = depth * np.float32(0.11 * swell) + 0.006
    mirror = mirrored(view, waves * (reach * np.float32(view.height))[:, None])
    share = np.float32(0.86 if vista.place == "lake" else 0.62) - 0.45 * np.clip(depth / 0.4, 0, 1)
    share = np.clip(share[:, None] + np.float32(0.25 * swell) * waves, 0, 1)
    glints = _glints(view, light, depth, fine + 0.5 * broad)
    foam = _foam(view, times, edge, first, broad) if vista.place == "coast" else None
    for channel in range(3):
        seen = mirror.of(image[channel])
        own = _DEEP[vista.place][channel] * light.ambient[:, channel, None, None]
        seen -= own
        seen *= share
        seen += own
        for shine, tint in glints:
            seen += shine * (tint[channel] - seen)
        if foam is not None:
            white = np.minimum(1.25 * light.ambient[:, channel, None, None], 1)
            seen += foam * (white - seen)
        image[channel, :, first:] = seen


def _waves(
    view: View, vista: Vista, times: NDArray[np.float64], depth: Floats
) -> tuple[Floats, Floats]:
    """Broad and fine ones, longer towards the viewer: (T, R, W) each, 0 to 1."""
    away = 9 * np.log(depth.astype(np.float64) + 0.02)
    lines = away[None] + 0.66 * times[:, None]
    x = np.broadcast_to(view.x, (len(times), 1, view.width))
    broad = rows(x * 7, lines, vista.seed + 61)
    fine = rows(x * 22, 2.3 * lines - 0.42 * times[:, None], vista.seed + 62)
    fine -= 0.5
    fine *= np.float32(np.clip(view.height / 100, 0.4, 1))
    fine += 0.5
    return broad, fine


def _glints(view: View, light: Light, depth: Floats, waves: Floats) -> list[tuple]:
    """A path of sparks under the sun, and one under the moon: how much, and its colour."""
    sparks = np.clip((waves - 0.62) * 5, 0, 1)
    low = between(-0.08, 0.03, light.height) * (0.35 + 0.65 * between(0.5, 0.1, light.height))
    found = []
    for strength, place, narrow, tint in (
        (low * np.float32(0.8 * (1 - light.grey)), light.sun_x, 0.05, _SUNNY),
        (light.moon * 0.5, light.moon_x, 0.04, _MOONLIT),
    ):
        if strength.max() > 0:
            away = (view.u - place[:, None]).astype(np.float32)[:, None]
            path = np.exp(-((away / (narrow + 0.32 * depth[None, :, None])) ** 2))
            path *= strength[:, None, None]
            path *= sparks
            found.append((path, tint))
    return found


def _foam(
    view: View, times: NDArray[np.float64], edge: Floats, first: int, broad: Floats
) -> Floats:
    """(T, R, W): a line along the shore that comes and goes, and a breaker before it."""
    reach = 0.012 * np.sin(np.pi * times).astype(np.float32)[:, None] + edge + 0.006
    away = view.v[first:, None] - reach[:, None, :]
    foam = np.exp(-((away / 0.01) ** 2))
    foam += 0.6 * np.exp(-(((away - 0.03) / 0.007) ** 2)) * (between(0.4, 0.5, broad))
    return np.clip(foam, 0, 0.9, out=foam)
