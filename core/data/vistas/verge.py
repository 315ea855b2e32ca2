"""What stands beside the way and goes by: trees, houses, poles, each with its shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .land import LAMPLIGHT
from .noise import Floats, between, hashed, line
from .road import EYE, FOCAL, Drive, centre
from .sketch import CHANNELS, LAMP, MATERIALS, SHADE, SIDE
from .things import KINDS, VARIANTS, colours, overlaps, seasonal, softened

FAR, NEAR = 120.0, 1.5  # metres: where things come up, and where they have gone by
_DENSE_FAR = 90.0  # metres: in a forest, where walls of trees stand behind
_LOW = 48.0  # metres: where what covers the ground comes up
_FADE_NEAR, _SHADOWED = 1.5, 45.0
_LARGE = 64  # pixels: what is larger is drawn alone
# What grows in each place, in how many of its cells, and what covers the ground there.
_KINDS = {
    "forest": ("conifer", "conifer", "tree", "birch"),
    "mountains": ("conifer", "conifer", "conifer", "rock"),
    "river": ("conifer", "birch", "conifer", "reeds"),
    "village": ("tree", "tree", "bush", "birch"),
    "meadow": ("tree", "bush", "flowers", "birch", "flowers"),
    "desert": ("cactus", "red rock", "cactus", "dry tuft"),
    "coast": ("palm", "bush", "rock"),
}
_DENSE = {"forest": 1.0, "mountains": 0.6, "river": 0.7, "village": 0.45, "meadow": 0.5,
          "desert": 0.5, "coast": 0.5}  # fmt: skip
_COVER = {"meadow": ("flowers", "tuft", "flowers"), "village": ("tuft", "flowers"),
          "mountains": ("tuft", "rock", "flowers"), "river": ("reeds", "reeds", "tuft"),
          "desert": ("dry tuft", "red rock"), "coast": ("dry tuft", "tuft"),
          "forest": ()}  # fmt: skip
# Metres from house to house, and how many of them are there.
_SETTLED = {"village": (34.0, 0.9), "coast": (60.0, 0.25)}
_TREE = 8.0  # metres, as all that is not named here
_METRES = {"rock": 1.1, "snowy rock": 1.1, "red rock": 1.3, "bush": 1.5, "snowy bush": 1.5,
           "cactus": 3.4, "palm": 7.0, "reeds": 1.3, "flowers": 0.7, "dry tuft": 0.7,
           "tuft": 0.6}  # fmt: skip


@dataclass(frozen=True)
class Stand:
    """N things beside the way. z, x: metres along and aside; high: metres."""

    kinds: list[str]
    variant: NDArray[np.int64]
    flip: NDArray[np.bool_]
    z: NDArray[Any]
    x: NDArray[Any]
    high: NDArray[Any]


def stand_of(drive: Drive) -> Stand:
    """All that can be seen in these moments, the furthest first."""
    first, last = drive.z.min(), drive.z.max() + FAR
    parts = [_growing(drive, first, last, side) for side in (-1, 1)]
    parts += [_low(drive, first, drive.z.max() + _LOW, side) for side in (-1, 1)]
    parts += _built(drive, first, last)
    kinds = [kind for part in parts for kind in part.kinds]
    joined = [np.concatenate([getattr(part, name) for part in parts])
              for name in ("variant", "flip", "z", "x", "high")]  # fmt: skip
    order = np.argsort(-joined[2], kind="stable")
    variant, flip, z, x, high = (values[order] for values in joined)
    return Stand([kinds[n] for n in order], variant, flip, z, x, high)


def _cells(first: float, last: float, apart: float) -> NDArray[np.int64]:
    return np.arange(int(np.floor(first / apart)), int(np.ceil(last / apart)) + 1)


def _growing(drive: Drive, first: float, last: float, side: int) -> Stand:
    vista, place = drive.vista, drive.vista.place
    cells = _cells(first, last, 4.6 if place == "forest" else 6.5)
    chance = [hashed(vista.seed + 600 + 10 * side + n, cells).astype(np.float64) for n in range(7)]
    z = (cells + 0.8 * chance[0]) * (4.6 if place == "forest" else 6.5)
    group = 1.0 if place == "forest" else between(0.3, 0.6, line(z / 130, vista.seed + 650 + side))
    there = chance[2] < _DENSE[place] * (0.35 + 0.9 * group)
    reach = 4.0 if place == "coast" and side < 0 else 10.0
    aside = (8.6 if vista.way == "river" else 4.2) + reach * chance[1] ** 1.6
    names = _KINDS[place]
    if place == "coast" and not (vista.season in ("spring", "summer") and vista.seed % 2):
        names = ("tree", "bush", "rock")
    picked = (chance[3] * len(names)).astype(int)
    kinds = [seasonal(names[n], vista) for n in picked[there]]
    high = np.array([_METRES.get(kind, _TREE) for kind in kinds]) * (0.7 + 0.6 * chance[4][there])
    return Stand(kinds, (chance[5][there] * VARIANTS).astype(np.int64), chance[6][there] < 0.5,
                 z[there], (centre(z, vista.seed) + side * aside)[there], high)  # fmt: skip


def _low(drive: Drive, first: float, last: float, side: int) -> Stand:
    """What covers the ground close by."""
    vista, names = drive.vista, _COVER[drive.vista.place]
    cells = _cells(first, last, 2.6) if names else np.arange(0)
    chance = [hashed(vista.seed + 630 + 10 * side + n, cells).astype(np.float64) for n in range(6)]
    group = between(0.3, 0.6, line(cells / 9, vista.seed + 660 + side)).astype(np.float64)
    there = chance[0] < 0.25 + 0.6 * group
    z = (cells + chance[1]) * 2.6
    aside = (6.6 if vista.way == "river" else 2.9) + 5.5 * chance[2] ** 1.4
    kinds = [seasonal(names[int(c * len(names))], vista) for c in chance[3][there]]
    return Stand(kinds, (chance[4][there] * VARIANTS).astype(np.int64), chance[5][there] < 0.5,
                 z[there], (centre(z, vista.seed) + side * aside)[there],
                 0.35 + 0.4 * chance[5][there])  # fmt: skip


def _built(drive: Drive, first: float, last: float) -> list[Stand]:
    """Houses, and poles or lanterns along a road."""
    vista = drive.vista
    sides = (1,) if vista.place == "coast" else (-1, 1)
    found = [_houses(drive, first, last, side) for side in sides if vista.place in _SETTLED]
    if vista.way == "road":
        found.append(_along(drive, "lantern" if vista.place == "village" else "pole", first, last,
                            34.0, 3.6, 6.4))  # fmt: skip
        found.append(_along(drive, "post", first, last, 17.0, -3.2, 0.9))
    return found


def _houses(drive: Drive, first: float, last: float, side: int) -> Stand:
    vista = drive.vista
    apart, odds = _SETTLED[vista.place]
    cells = _cells(first, last, apart)
    chance = hashed(vista.seed + 680 + side, cells).astype(np.float64)
    cells, chance = cells[chance < odds], chance[chance < odds]
    z = (cells + 0.5 + 0.2 * side) * apart
    x = centre(z, vista.seed) + side * (11.5 + 4 * chance)
    kinds = ["house" if c < odds / 2 else "old house" for c in chance]
    return Stand(kinds, cells % VARIANTS, np.full(len(z), side < 0), z, x, np.full(len(z), 6.2))


def _along(
    drive: Drive, kind: str, first: float, last: float, apart: float, aside: float, high: float
) -> Stand:
    cells = _cells(first, last, apart)
    z = cells * apart + 3.0
    return Stand([kind] * len(z), np.zeros(len(z), np.int64), np.zeros(len(z), bool), z,
                 centre(z, drive.vista.seed) + aside, np.full(len(z), high))  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """N sights of things, frame by frame, the furthest first. Pixels, but away: metres.

    solid: 1, less where a thing comes up or goes by.
    """

    moment: NDArray[np.int64]
    thing: NDArray[np.int64]
    away: NDArray[np.float64]
    column: NDArray[np.float64]
    foot: NDArray[np.float64]
    high: NDArray[np.float64]
    wide: NDArray[np.float64]
    solid: Floats

    def part(self, which: NDArray) -> Seen:
        return Seen(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def seen_of(drive: Drive, stand: Stand) -> Seen:
    """What of it the camera sees, and where."""
    view = drive.view
    away = stand.z[None] - drive.z[:, None]
    near = np.maximum(away, NEAR)
    aside = (stand.x[None] - drive.x[:, None]) / near - drive.heading[:, None]
    column = FOCAL * aside * view.height - view.left
    foot = (1 - view.horizon + FOCAL * EYE / near) * view.height
    high = FOCAL / near * stand.high * view.height
    wide = high * np.array([KINDS[kind].wide for kind in stand.kinds])
    far = np.where(stand.high < 0.8, _LOW, _DENSE_FAR if drive.vista.place == "forest" else FAR)
    solid = between(0.4, 1.2, high) * np.clip((far - away) / (far / 4), 0, 1)
    solid = solid * between(NEAR, NEAR + _FADE_NEAR, away)
    inside = (
        (column + wide / 2 > 0) & (column - wide / 2 < view.width) & (foot - high < view.height)
    )
    moment, thing = np.nonzero((away > NEAR) & inside & (solid > 0))
    at = (moment, thing)
    return Seen(moment, thing, away[at], column[at], foot[at], high[at], wide[at],
                solid[at].astype(np.float32))  # fmt: skip


def paint_verge(image: Floats, drive: Drive, seen: Floats | None = None) -> None:
    """Over an image (3, T, H, W), in place; `seen` as `valley.paint_slices` keeps it."""
    stand = stand_of(drive)
    if not stand.kinds:
        return
    sights = seen_of(drive, stand)
    if not len(sights.moment):
        return
    pictures = _pictures(drive, stand, sights, _coloured(drive, stand, sights))
    shadows = _shadows(stand, sights)
    for number, moment in enumerate(sights.moment.tolist()):
        if number in shadows:
            _darken(image[:, moment], *shadows[number])
        row, column, picture = pictures[number]
        box = (slice(row, row + picture.shape[1]), slice(column, column + picture.shape[2]))
        part = image[:, moment, *box]
        part *= picture[3]
        part += picture[:3]
        if seen is not None:
            seen[moment, *box] *= picture[3]


def _shadows(stand: Stand, sights: Seen) -> dict[int, tuple[float, float, float, float]]:
    """By the number of its sight: the column, row and half width of a shadow, and how dark."""
    casts = np.array([KINDS[kind].casts > 0 for kind in stand.kinds])[sights.thing]
    near = np.clip((_SHADOWED - sights.away) / 15, 0, 1) * between(2, 5, sights.wide)
    dark = 0.3 * near * sights.solid * casts
    values = zip(sights.column.tolist(), sights.foot.tolist(), (0.42 * sights.wide).tolist(),
                 dark.tolist(), strict=True)  # fmt: skip
    return {number: value for number, value in enumerate(values) if value[3] > 0}


def _coloured(drive: Drive, stand: Stand, sights: Seen) -> Floats:
    """(N, 4, CHANNELS): red, green, blue and coverage that a texture's channels give."""
    light, moment = drive.light, sights.moment
    paints = np.zeros((len(stand.kinds), 3, MATERIALS), np.float32)
    for number, kind in enumerate(stand.kinds):
        own = colours(kind, drive.vista)
        paints[number, :, : own.shape[1]] = own
    paint = paints[sights.thing]
    mixed = np.zeros((len(moment), 4, CHANNELS), np.float32)
    lit = light.ambient + 0.56 * light.sun
    lit = lit[moment] + drive.lamps[moment, None] * drive.beam(sights.away)
    mixed[:, :3, :MATERIALS] = paint * lit[:, :, None]
    side = light.side[moment] * np.where(stand.flip[sights.thing], 1, -1).astype(np.float32)
    mixed[:, :3, SHADE] = 0.7 * paint[:, :, :2].mean(axis=2) * light.sun[moment] * side[:, None]
    mixed[:, :3, LAMP] = LAMPLIGHT * light.night[moment][:, None]
    air = drive.clear(sights.away)[:, None, None]
    mixed *= air
    mixed[:, :3, :MATERIALS] += light.haze[moment][:, :, None] * (1 - air)
    mixed[:, 3, :MATERIALS] = 1
    mixed *= sights.solid[:, None, None]
    return mixed


def _pictures(
    drive: Drive, stand: Stand, sights: Seen, mixed: Floats
) -> list[tuple[int, int, Floats]]:
    """Of each sight: its first row and column, and (4, rows, columns) within the picture."""
    view = drive.view
    top = np.clip(np.floor(sights.foot - sights.high), 0, view.height).astype(int)
    end = np.clip(np.ceil(sights.foot), 0, view.height).astype(int)
    left = np.clip(np.floor(sights.column - sights.wide / 2), 0, view.width).astype(int)
    right = np.clip(np.ceil(sights.column + sights.wide / 2), 0, view.width).astype(int)
    high, wide = end - top, right - left
    size = 2 ** np.ceil(np.log2(np.clip(np.maximum(high, wide), 4, None))).astype(int)
    side = np.clip(2 ** np.ceil(np.log2(sights.high)), 4, SIDE).astype(int)
    places = list(zip(*(edge.tolist() for edge in (top, left, high, wide)), strict=True))
    found: list = [None] * len(places)
    for batch in _batches(size, side):
        first = batch[0]
        _, _, *shape = places[first] if size[first] > _LARGE else [int(size[first])] * 4
        made = _resampled(stand, sights.part(batch), mixed[batch], top[batch], left[batch],
                          (shape[0], shape[1]), int(side[first]))  # fmt: skip
        for number, picture in zip(batch.tolist(), made, strict=True):
            row, column, rows, columns = places[number]
            found[number] = (row, column, picture[:, :rows, :columns])
    return found


def _batches(size: NDArray[np.int64], side: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Numbers of sights that one call resamples: of one size and texture, large ones alone."""
    found = []
    for key in np.unique(size * 1024 + side):
        which = np.flatnonzero(size * 1024 + side == key)
        found += [which] if key <= _LARGE * 1024 + SIDE else np.split(which, len(which))
    return found


def _resampled(
    stand: Stand, sights: Seen, mixed: Floats, top: NDArray, left: NDArray,
    shape: tuple[int, int], side: int,
) -> Floats:  # fmt: skip
    """(N, 4, rows, columns) of sights with textures of one side, exactly averaged: their colour,
    and what they leave to be seen behind them."""
    shown = zip(sights.thing.tolist(), (sights.high / side).tolist(), strict=True)
    stack = np.stack([softened(stand.kinds[thing], int(stand.variant[thing]), side, ratio)
                      for thing, ratio in shown])  # fmt: skip
    stack = (mixed @ stack.reshape(len(top), CHANNELS, side * side)).reshape(-1, 4 * side, side)
    down = overlaps(sights.foot - sights.high, sights.high, side, top, shape[0])
    along = overlaps(sights.column - sights.wide / 2, sights.wide, side, left, shape[1])
    flipped = stand.flip[sights.thing]
    along[flipped] = along[flipped][..., ::-1]
    stack = (stack @ along.transpose(0, 2, 1)).reshape(-1, 4, side, shape[1])
    made = down[:, None] @ stack
    made[:, 3] = 1 - made[:, 3]
    return made


def _darken(image: Floats, column: float, foot: float, half: float, dark: float) -> None:
    """The shadow that seats a thing on the ground; image: (3, H, W)."""
    _, height, width = image.shape
    top, end = max(0, int(foot - 0.2 * half)), min(height, int(foot + 0.25 * half) + 1)
    left, right = max(0, int(column - half)), min(width, int(column + half) + 1)
    if end <= top or right <= left:
        return
    y = (np.arange(top, end, dtype=np.float32) + (0.5 - foot - 0.03 * half)) / (0.18 * half)
    x = (np.arange(left, right, dtype=np.float32) + (0.5 - column)) / half
    shade = (1.6 * dark - 1.6 * dark * y * y)[:, None] - 1.6 * dark * x * x
    np.clip(shade, 0, dark, out=shade)
    part = image[:, top:end, left:right]
    part *= 1 - shade
