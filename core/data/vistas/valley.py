"""What rises to the left and right of a ride: walls of trees, hills, mountains, slice by slice.

A slice rises out of the haze at its far end and sinks before it would pass the camera, out of
sight behind nearer ones, so that nothing ever appears or goes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .materials import colour
from .noise import Floats, between, drawn, fractal, hashed, line
from .ridges import Woods, treeline
from .road import EYE, FOCAL, Drive, centre


@dataclass(frozen=True)
class Slices:
    """Slices every `apart` metres, `count` of them from `nearest` on, `high` metres high.

    gap: half of the valley between their sides; wave: metres from hill to hill; trees: in metres,
    on top of them; ridged: with sharp crests; left: whether they rise on the left too.
    """

    apart: float
    nearest: float
    count: int
    high: float
    gap: float
    wave: float
    material: str
    key: int
    trees: Woods | None = None
    ridged: bool = False
    steps: bool = False
    snow: float | None = None
    left: bool = True


_HIGH = {"mountains": 2700.0, "river": 2300.0, "forest": 460.0, "village": 620.0, "meadow": 560.0,
         "desert": 620.0, "coast": 620.0}  # fmt: skip
_LOW = {"mountains": 150.0, "river": 130.0, "desert": 46.0, "coast": 50.0}


def far_slices(drive: Drive) -> list[Slices]:
    """Mountains and hills, which stand behind the ground."""
    vista = drive.vista
    place, dry = vista.place, vista.place == "desert"
    snow = {"winter": 0.22, "spring": 0.46}.get(vista.season, 0.58)
    alpine = place in ("mountains", "river")
    mountains = Slices(
        2600, 2600, 4, _HIGH[place], 900, 3800, "mesa" if dry else "rock" if alpine else "far", 30,
        ridged=not dry, steps=dry, snow=snow if alpine or (vista.winter and not dry) else None,
    )  # fmt: skip
    wooded = place in ("forest", "mountains", "river")
    material = "dune" if dry else "pine" if wooded else "leaf" if place == "village" else "grass"
    woods = None if dry else Woods(26, 30 if wooded else 16, wooded)
    hills = Slices(420, 190, 4, _LOW.get(place, 62), 400, 300, material, 31, woods,
                   left=place != "coast")  # fmt: skip
    return [mountains, hills]


def near_slices(drive: Drive) -> list[Slices]:
    """Walls of trees and hedges, which stand on the ground."""
    place, vista = drive.vista.place, drive.vista
    if place == "desert":
        return [Slices(42, 20, 5, 3, 46, 70, "dune light", 32)]
    dense = place == "forest"
    pointed = vista.winter or place != "forest" or drawn(vista.seed, 3) < 0.6
    if place in ("forest", "mountains", "river"):
        trees = Woods(6, 15 if dense else 13) if pointed else Woods(9.5, 11, False)
        return [Slices(42, 20, 6, 5, 42, 70, "pine" if pointed else "leaf", 32, trees)]
    return [Slices(42, 20, 5, 3, 44, 70, "leaf", 32, Woods(7, 4.5, False), left=place != "coast")]


def paint_slices(image: Floats, drive: Drive, slices: Slices, seen: Floats | None = None) -> None:
    """Over an image (3, T, H, W), in place. seen: (T, H, W), how much of what was there before
    stays to be seen, which is kept up with."""
    first = np.ceil((drive.z + slices.nearest) / slices.apart).astype(np.int64)
    for number in range(slices.count, -1, -1):
        _paint_slice(image, drive, slices, first + number, seen)


def outline_of(drive: Drive, slices: Slices) -> Floats:
    """(T, W): the highest line of all slices, above the lower edge; 0 where there are none."""
    first = np.ceil((drive.z + slices.nearest) / slices.apart).astype(np.int64)
    highest = np.zeros(drive.looks.shape, np.float32)
    for number in range(slices.count + 1):
        away = (first + number) * slices.apart - drive.z
        line_ = _outline(drive, slices, _heights(drive, slices, first + number, away), away)
        np.maximum(highest, line_, out=highest)
    return highest


def _outline(drive: Drive, slices: Slices, heights: Floats, away: np.ndarray) -> Floats:
    eye = 0 if slices.ridged or slices.steps else EYE
    return (drive.view.horizon + FOCAL * (heights - eye) / away[:, None]).astype(np.float32)


def _heights(drive: Drive, slices: Slices, which: np.ndarray, away: np.ndarray) -> Floats:
    """(T, W): metres above the valley of the slice that stands `away` metres ahead."""
    seed, far = drive.vista.seed, slices.nearest + slices.count * slices.apart
    aside = drive.looks * away[:, None] + drive.x[:, None]
    bend = 0 if slices.ridged or slices.steps else centre(which * slices.apart, seed)
    across = aside - np.reshape(bend, (-1, 1))
    own = 977 * hashed(seed + slices.key, which).astype(np.float64)[:, None]
    noise = fractal(aside / slices.wave + own, seed + slices.key + 10, 5 if slices.ridged else 3,
                    0.44, slices.ridged)  # fmt: skip
    if slices.ridged:
        noise = 1.5 * noise**1.6
    if slices.steps:
        noise = 0.7 * between(0.5, 0.56, noise) + 0.3 * between(0.62, 0.66, noise)
    side = np.abs(across) if slices.left else across
    if slices.ridged or slices.steps:
        valley = 0.35 + 0.65 * between(0.3 * slices.gap, 2 * slices.gap, side)
    else:
        valley = between(0.55 * slices.gap, 1.9 * slices.gap, side)
    heights = slices.high * noise * valley
    if slices.trees is not None:
        stand = between(0.52 * slices.gap, 0.64 * slices.gap, side)
        if slices.nearest < 100 and drive.vista.place not in ("forest",):
            stand = stand * between(0.35, 0.6, line(aside / 90 + 3.3 * own, seed + 61))
        heights += treeline(slices.trees, aside + own, seed + 60) * stand
    rises = between(far, far - 0.9 * slices.apart, away)
    sinks = between(slices.nearest, slices.nearest + 0.4 * slices.apart, away)
    return heights * (rises * sinks)[:, None]


def _paint_slice(
    image: Floats, drive: Drive, slices: Slices, which: np.ndarray, seen: Floats | None
) -> None:
    view, away = drive.view, which * slices.apart - drive.z
    heights = _heights(drive, slices, which, away)
    line_ = _outline(drive, slices, heights, away)
    near = slices.nearest < 100
    foot = (view.horizon - (FOCAL * EYE / away if near else 0.012 + 0 * away)).astype(np.float32)
    top = view.row(float(line_.max()) + 2 / view.height)  # edges are up to 3.5 pixels soft
    end = min(view.height, view.row(float(foot.min())) + 1)
    if end <= top:
        return
    v = view.v[None, top:end, None]
    steep = np.abs(np.gradient(line_, axis=1)) if view.width > 1 else np.zeros_like(line_)
    soft = view.height / np.clip(steep * np.float32(0.9 * view.height), 1, 3.5)
    cover = np.clip((line_[:, None] - v) * soft[:, None] + 0.5, 0, 1)
    cover *= np.clip((v - foot[:, None, None]) * view.height + 0.5, 0, 1)
    if near:
        cover *= between(0.0, 0.3, heights)[:, None]
    if seen is not None:
        seen[:, top:end] *= 1 - cover
    shade = _shade(drive, slices, heights, line_, away, v)
    paint = _paint(drive, slices, away, shade, v)
    for channel in range(3):
        part = image[channel, :, top:end]
        part += cover * (paint[channel] - part)


def _shade(
    drive: Drive, slices: Slices, heights: Floats, line_: Floats, away: np.ndarray, v: Floats
) -> Floats:
    """-1 to 1: (T, 1 or R, W), how much of the light from the left a place returns."""
    wide = drive.view.width
    metres = (away / (FOCAL * drive.view.height))[:, None]
    slope = np.gradient(heights, axis=1) / metres if wide > 1 else np.zeros_like(heights)
    shade = np.tanh(1.5 * slope).astype(np.float32)
    if not slices.ridged:
        return shade[:, None] * 0.5
    deep = np.clip(line_[:, None] - v, 0, 0.4) * np.float32(0.55 * drive.view.height)
    at = np.clip(np.arange(wide, dtype=np.float32) + deep, 0, wide - 1)
    low = at.astype(np.int32)
    starts = (np.arange(len(away), dtype=np.int32) * wide)[:, None, None]
    flat = shade.reshape(-1)
    first = flat.take(low + starts)
    second = flat.take(np.minimum(low + 1, wide - 1) + starts)
    return 0.5 * shade[:, None] + 0.7 * (first + (second - first) * (at - low))


def _paint(
    drive: Drive, slices: Slices, away: np.ndarray, shade: Floats, v: Floats
) -> list[Floats]:
    """Its colour, in air: three of (T, 1 or R, W)."""
    vista, light = drive.vista, drive.light
    stuff = colour(slices.material, vista)
    if vista.winter and slices.trees is not None:
        stuff = stuff + (colour("snow", vista) - stuff) * 0.34
    height = ((v - drive.view.horizon) * away[:, None, None] / FOCAL).astype(np.float32)
    white = None
    if slices.snow is not None:
        own = height - np.float32(slices.snow * slices.high)
        white = between(-0.08, 0.08, own / np.float32(slices.high) + 0.12 * shade)
    layers = None
    if slices.steps:
        layers = 0.86 + 0.3 * line((height[:, :, 0] / 26.0).astype(np.float64), vista.seed + 46)
    air = drive.clear(away)[:, None, None]
    paint = []
    for channel in range(3):
        base = drive.lit(stuff)[:, channel, None, None]
        tone = stuff[channel] * light.sun[:, channel, None, None] * -light.side[:, None, None]
        made = base + tone * shade
        if layers is not None:
            made = made * layers[:, :, None]
        if white is not None:
            snow = drive.lit(colour("snow", vista), 0.6)[:, channel, None, None]
            made = made + white * (snow + 0.6 * tone * shade - made)
        haze = light.haze[:, channel, None, None]
        paint.append(haze + (made - haze) * air)
    return paint
