"""The ground of a ride: meadow, sand or snow, and the road, track or river on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .materials import colour
from .noise import Floats, between, line, rows
from .road import EYE, FOCAL, WIDE, Drive, centre
from .water import mirrored

_GRAINS = (38.0, 9.0, 2.6, 0.8)  # metres
_SEA = (0.05, 0.28, 0.4)


@dataclass(frozen=True)
class Plane:
    """The rows below the horizon. away: metres (R,); foot, along: metres that a pixel covers
    across and along (R,); z: metres along the way (T, R); across: metres from the middle of the
    way (T, R, W); grain: -0.5 to 0.5."""

    first: int
    away: np.ndarray
    foot: Floats
    along: Floats
    z: np.ndarray
    aside: np.ndarray
    across: Floats
    grain: Floats


def plane_of(drive: Drive) -> Plane:
    view = drive.view
    first = view.row(view.horizon)
    below = np.maximum(view.horizon - view.v[first:].astype(np.float64), 0.35 / view.height)
    away = FOCAL * EYE / below
    z = drive.z[:, None] + away
    aside = drive.looks[:, None] * away[:, None] + drive.x[:, None, None]
    across = (aside - centre(z, drive.vista.seed)[..., None]).astype(np.float32)
    foot = (away / (FOCAL * view.height)).astype(np.float32)
    along = (away**2 / (FOCAL * EYE * view.height)).astype(np.float32)
    grain = np.zeros(across.shape, np.float32)
    for number, size in enumerate(_GRAINS):
        weight = np.clip(1.5 - 1.5 * np.maximum(2.5 * foot, 0.5 * along) / size, 0, 1)
        near = int(np.argmax(weight > 0)) if weight.any() else len(away)
        if near < len(away):
            noise = rows(
                aside[:, near:] / size, z[:, near:] / size, drive.vista.seed + 300 + number
            )
            noise -= 0.5
            noise *= (0.7**number * weight[near:, None]).astype(np.float32)
            grain[:, near:] += noise
    return Plane(first, away, foot, along, z, aside, across, grain)


def paint_ground(image: Floats, drive: Drive, plane: Plane) -> None:
    """Over an image (3, T, H, W), in place."""
    vista = drive.vista
    names = {"desert": ("dune", "dune light", "dune dark"),
             "coast": ("sand", "grass light", "pebble")}.get(
        vista.place, ("grass", "grass light", "grass dark"))  # fmt: skip
    first, second = (colour(name, vista) for name in names[:2])
    share = np.clip(0.5 + 1.5 * plane.grain, 0, 1)
    paint = [first[c] + (second[c] - first[c]) * share for c in range(3)]
    third = colour(names[2], vista)
    _mix(paint, third, np.clip(-2.6 * plane.grain - 0.1, 0, 0.6))
    if vista.way == "road":
        _tarmac(paint, drive, plane)
    elif vista.way == "track":
        _ruts(paint, drive, plane)
    else:
        _banks(paint, drive, plane)
    light = drive.light
    beam = None
    if drive.lamps.max() > 0:
        cone = between(0.75, 0.15, np.abs(drive.view.u))
        beam = drive.lamps[:, None, None] * cone
    air = drive.clear(plane.away)[:, None]
    sea = _sea(drive, plane) if vista.place == "coast" else None
    for channel in range(3):
        ground = paint[channel]
        shine = (light.ambient + 0.6 * light.sun)[:, channel, None, None]
        if beam is not None:
            shine = shine + beam * drive.beam(plane.away)[:, channel, None]
        ground *= shine
        if sea is not None:
            ground += sea[0] * (sea[1][channel] - ground)
        haze = light.haze[:, channel, None, None]
        ground -= haze
        ground *= air
        ground += haze
        image[channel, :, plane.first :] = ground


def _edge(plane: Plane, half: float | Floats) -> Floats:
    """Coverage by what lies within `half` metres of the middle: (T, R, W)."""
    return np.clip((half - np.abs(plane.across)) / plane.foot[:, None] + 0.5, 0, 1)


def _mix(paint: list[Floats], stuff: Floats, cover: Floats, tone: Floats | float = 1.0) -> None:
    for channel in range(3):
        paint[channel] += cover * (stuff[channel] * tone - paint[channel])


def _tarmac(paint: list[Floats], drive: Drive, plane: Plane) -> None:
    """Asphalt with a dashed middle, lines at its edges, and gravel beside it."""
    half, foot = WIDE["road"], plane.foot[:, None]
    verge = colour("path", drive.vista)
    _mix(paint, verge, _edge(plane, half + 0.5) * 0.7, 1 + 0.5 * plane.grain)
    tone = 1 + 0.25 * plane.grain
    _mix(paint, colour("asphalt", drive.vista), _edge(plane, half), tone)
    part = (plane.z / 9) % 1
    sharp = np.maximum(3 * plane.along, 0.06) / 9
    dash = np.clip((0.25 - np.abs(part - 0.5)) / sharp + 0.5, 0, 1)
    far = np.clip(plane.along / 6 - 0.3, 0, 1)
    dash = (dash + (0.5 - dash) * far).astype(np.float32)[..., None]
    thin = np.minimum(1, 0.18 / foot)
    middle = _edge(plane, 0.09) * thin * dash
    edges = np.abs(np.abs(plane.across) - (half - 0.25))
    edges = np.clip((0.08 - edges) / foot + 0.5, 0, 1) * thin
    _mix(paint, colour("white", drive.vista), np.clip(middle + edges, 0, 1) * 0.9)


def _ruts(paint: list[Floats], drive: Drive, plane: Plane) -> None:
    """Two ruts, with grass between."""
    fine = np.clip(1.5 - 2.2 * plane.foot, 0, 1)[:, None]
    ruts = np.exp(-(((np.abs(plane.across) - 0.95) / 0.5) ** 2))
    cover = (0.55 * (1 - fine) + ruts * fine) * _edge(plane, WIDE["track"])
    cover = np.clip(cover * (1.25 + plane.grain), 0, 0.95)
    dry = drive.vista.place in ("desert", "coast")
    stuff = colour("dune dark" if dry else "path" if drive.vista.seed % 2 else "mud", drive.vista)
    _mix(paint, stuff, cover, 1 + 0.4 * plane.grain)


def river_edge(drive: Drive, plane: Plane) -> Floats:
    """Half of the river's width in metres: (T, R, 1)."""
    wide = WIDE["river"] + 3.2 * (line(plane.z / 60, drive.vista.seed + 411) - 0.5)
    return wide.astype(np.float32)[..., None]


def _banks(paint: list[Floats], drive: Drive, plane: Plane) -> None:
    half = river_edge(drive, plane)
    bank = colour("pebble", drive.vista)
    _mix(paint, bank, _edge(plane, half + 0.8) * 0.8, 1 + plane.grain)


def _sea(drive: Drive, plane: Plane) -> tuple[Floats, list[Floats]]:
    """The sea to the left: where it is, and its colours."""
    light, seed = drive.light, drive.vista.seed
    shore = 15 + 9 * (line(plane.z / 70, seed + 412) - 0.5)
    inward = -plane.across - shore.astype(np.float32)[..., None]
    cover = np.clip(inward / plane.foot[:, None] + 0.5, 0, 1)
    ripples = np.clip(1.6 - 3 * plane.along / 2.5, 0, 1).astype(np.float32)[:, None]
    waves = rows(plane.aside / 3.5, plane.z / 1.6 - 0.8 * drive.times[:, None], seed + 421)
    waves = (waves - 0.5) * ripples
    flat = np.clip(1 - plane.away / 160, 0, 1).astype(np.float32)[:, None]
    foam = np.exp(-(((inward - 1.2) / (0.7 + plane.foot[:, None])) ** 2))
    colours = []
    for channel in range(3):
        sky = light.middle[:, channel, None, None] * 0.55
        sky = sky + 0.4 * light.horizon[:, channel, None, None]
        own = _SEA[channel] * light.ambient[:, channel, None, None]
        water = sky + (own - sky) * np.clip(0.75 * flat + 0.7 * waves, 0, 1)
        white = np.minimum(1.2 * light.ambient[:, channel, None, None], 1)
        colours.append(water + 0.7 * foam * (white - water))
    return cover, colours


def paint_river(image: Floats, drive: Drive, plane: Plane, seen: Floats) -> None:
    """The river last of all, so that it mirrors its banks and trees; seen: (T, H, W), how much of
    the ground nothing hides."""
    view, light, first = drive.view, drive.light, plane.first
    fine = 1.6 - 1.6 * plane.foot - 0.15 * plane.along
    waves = rows(plane.aside * 0.55, plane.z * 0.5 + 0.9 * drive.times[:, None],
                 drive.vista.seed + 420)  # fmt: skip
    waves = (waves - 0.5) * np.clip(fine, 0, 1).astype(np.float32)[:, None]
    near = np.clip(np.arange(len(plane.away)) / (0.1 * view.height), 0, 1)
    mirror = mirrored(view, waves * (0.1 * view.height * near).astype(np.float32)[:, None])
    cover = _edge(plane, river_edge(drive, plane)) * seen[:, first:]
    air = drive.clear(plane.away)[:, None]
    ice = np.float32(0.25 if drive.vista.winter else 0.0)
    for channel in range(3):
        water = mirror.of(image[channel])
        ambient = light.ambient[:, channel, None, None]
        water *= 0.76 - ice
        water += (np.float32((0.02, 0.06, 0.08)[channel]) + ice) * ambient
        water += 0.22 * np.clip(waves, 0, 1) * ambient
        haze = light.haze[:, channel, None, None]
        water += (haze - water) * (0.5 * (1 - air))
        below = image[channel, :, first:]
        below += cover * (water - below)
