"""Which things stand where: each place's own, in cells along the country."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .country import Vista
from .ground import shore_of
from .noise import hashed
from .ridges import Profile
from .things import VARIANTS, Thing, seasonal
from .view import View

_LEAST = 1.2  # pixels: what is smaller is left out


@dataclass(frozen=True)
class Row:
    """Things in cells `cell` wide, each there with probability `odds`. far, near: where their
    feet stand above the lower edge, at the ends; small, high: their heights there.

    spread: how much heights differ from that. On a shore, feet are told from its edge.
    """

    kinds: tuple[str, ...]
    cell: float
    odds: float
    far: float
    near: float
    small: float
    high: float
    distance: float = 0.02
    spread: float = 0.35


def _of_mountains(vista: Vista) -> Sequence[Row]:
    return (
        Row(("conifer",), 0.1, 0.5, 0.375, 0.27, 0.07, 0.15, 0.06),
        Row(("cabin",), 2.3, 0.6, 0.345, 0.3, 0.07, 0.09, 0.04),
        Row(("rock", "tuft", "flowers"), 0.11, 0.6, 0.3, 0.0, 0.016, 0.06, 0.03),
        Row(("rock",), 0.5, 0.5, 0.2, 0.02, 0.04, 0.09, 0.02),
        Row(("conifer",), 0.6, 0.7, 0.13, -0.02, 0.32, 0.56, 0.01),
    )


def _of_forest(vista: Vista) -> Sequence[Row]:
    near = ("conifer",) if vista.seed % 3 == 0 else ("conifer", "tree", "birch")
    return (
        Row(("conifer",), 0.055, 0.85, 0.385, 0.33, 0.12, 0.2, 0.1),
        Row(near, 0.12, 0.7, 0.33, 0.24, 0.24, 0.34, 0.06),
        Row(("bush", "tuft", "flowers"), 0.1, 0.55, 0.3, 0.02, 0.025, 0.07, 0.03),
        Row(near, 0.26, 0.62, 0.25, 0.12, 0.36, 0.5, 0.03),
        Row(("conifer", "birch"), 0.5, 0.72, 0.1, -0.05, 0.62, 0.85, 0.01),
        Row(("tuft", "bush"), 0.16, 0.5, 0.08, -0.02, 0.05, 0.09, 0.01),
    )


def _of_desert(vista: Vista) -> Sequence[Row]:
    return (
        Row(("cactus", "dry tuft", "red rock"), 0.24, 0.5, 0.29, 0.16, 0.03, 0.1, 0.05),
        Row(("red rock", "dry tuft", "dry tuft"), 0.17, 0.5, 0.2, 0.0, 0.018, 0.06, 0.03),
        Row(("cactus",), 0.8, 0.66, 0.13, 0.0, 0.24, 0.44, 0.01),
        Row(("dry tuft", "red rock"), 0.4, 0.5, 0.06, -0.01, 0.05, 0.09, 0.01),
    )


def _of_coast(vista: Vista) -> Sequence[Row]:
    warm = vista.season in ("spring", "summer")
    trees = ("palm",) if warm and vista.seed % 2 else ("tree", "conifer") if warm else ("conifer",)
    return (
        Row(("dry tuft", "rock", "dry tuft"), 0.17, 0.5, -0.05, -0.16, 0.03, 0.06, 0.02),
        Row(("rock",), 0.6, 0.6, -0.02, -0.05, 0.05, 0.08, 0.02),
        Row(trees, 0.62, 0.66, -0.06, -0.16, 0.36, 0.6, 0.01),
    )


def _of_lake(vista: Vista) -> Sequence[Row]:
    return (
        Row(("rock",), 0.34, 0.5, -0.012, -0.05, 0.03, 0.06, 0.02),
        Row(("reeds", "reeds", "tuft"), 0.075, 0.5, -0.005, -0.05, 0.035, 0.07, 0.02),
        Row(("tuft", "flowers"), 0.09, 0.6, -0.04, -0.12, 0.03, 0.06, 0.01),
        Row(("conifer",), 0.62, 0.66, -0.03, -0.08, 0.34, 0.58, 0.01),
    )


def _of_village(vista: Vista) -> Sequence[Row]:
    return (
        Row(("tree", "bush", "tree"), 0.09, 0.55, 0.39, 0.345, 0.06, 0.12, 0.08),
        Row(("church",), 2.1, 1.0, 0.36, 0.35, 0.27, 0.31, 0.06),
        Row(("house", "old house"), 0.23, 0.75, 0.365, 0.335, 0.08, 0.1, 0.06),
        Row(("tree", "conifer"), 0.24, 0.6, 0.35, 0.25, 0.13, 0.2, 0.04),
        Row(("house", "old house", "house"), 0.36, 0.72, 0.31, 0.24, 0.14, 0.19, 0.03, 0.2),
        Row(("bush", "tuft", "flowers"), 0.11, 0.6, 0.26, 0.0, 0.02, 0.055, 0.03),
        Row(("fence",), 0.9, 0.5, 0.16, 0.1, 0.05, 0.06, 0.02, 0.1),
        Row(("tree", "birch"), 0.75, 0.6, 0.14, -0.02, 0.38, 0.62, 0.01),
    )


def _of_meadow(vista: Vista) -> Sequence[Row]:
    reaped = ("hay",) if vista.season in ("summer", "autumn") else ("bush",)
    return (
        Row(("tree", "bush"), 0.1, 0.5, 0.39, 0.35, 0.06, 0.12, 0.08),
        Row(("old house",), 2.6, 0.5, 0.35, 0.32, 0.08, 0.1, 0.05),
        Row(reaped, 0.5, 0.6, 0.31, 0.17, 0.03, 0.07, 0.03),
        Row(("fence",), 1.1, 0.5, 0.26, 0.2, 0.034, 0.045, 0.03, 0.1),
        Row(("flowers", "tuft", "flowers"), 0.08, 0.75, 0.28, -0.01, 0.018, 0.065, 0.02),
        Row(("tree", "birch", "tree"), 0.66, 0.62, 0.24, 0.02, 0.26, 0.56, 0.01),
        Row(("flowers", "tuft"), 0.13, 0.6, 0.03, -0.03, 0.06, 0.09, 0.01),
    )


_ROWS = {
    "mountains": _of_mountains,
    "forest": _of_forest,
    "desert": _of_desert,
    "coast": _of_coast,
    "lake": _of_lake,
    "village": _of_village,
    "meadow": _of_meadow,
}


def things_of(view: View, vista: Vista) -> list[list[Thing]]:
    """What stands on the near ground, row by row, the furthest first."""
    shore = shore_of(vista) if vista.place in ("lake", "coast") else None
    return [
        _stood(view, vista, row, 200 + 10 * number, shore)
        for number, row in enumerate(_ROWS[vista.place](vista))
    ]


def things_behind(view: View, vista: Vista) -> list[list[Thing]]:
    """What stands beyond the water, or on it."""
    if vista.place == "coast":
        found = [Row(("lighthouse",), 3.1, 0.6, 0.402, 0.396, 0.15, 0.19, 0.12),
                 Row(("boat",), 0.8, 0.45, 0.385, 0.33, 0.04, 0.1, 0.08)]  # fmt: skip
    elif vista.place == "lake":
        found = [Row(("tree",), 0.1, 0.3, 0.395, 0.388, 0.05, 0.08, 0.09),
                 Row(("conifer",), 0.055, 0.6, 0.392, 0.386, 0.07, 0.12, 0.08),
                 Row(("cabin",), 1.6, 0.7, 0.39, 0.386, 0.055, 0.07, 0.06),
                 Row(("boat",), 1.5, 0.4, 0.375, 0.34, 0.05, 0.09, 0.05)]  # fmt: skip
        if vista.winter:
            found = found[:3]
    else:
        return []
    return [_stood(view, vista, row, 400 + 10 * number, None) for number, row in enumerate(found)]


def _stood(view: View, vista: Vista, row: Row, key: int, shore: Profile | None) -> list[Thing]:
    """The things of a row that can be seen, the furthest first."""
    seed, reach = vista.seed + key, 2.2 * row.high + row.cell
    first, last = ((view.x[at] + way * reach) / row.cell for at, way in ((0, -1), (-1, 1)))
    cells = np.arange(int(np.floor(first)), int(np.ceil(last)) + 1)
    cells = cells[hashed(seed, cells) < row.odds]
    x = (cells + 0.5 + 0.8 * (hashed(seed + 1, cells).astype(np.float64) - 0.5)) * row.cell
    near = hashed(seed + 2, cells).astype(np.float64)
    y = row.far + (row.near - row.far) * near
    if shore is not None:
        y = y + shore(x)
    high = row.small + (row.high - row.small) * near
    high = high * (1 + row.spread * (hashed(seed + 3, cells) - 0.5))
    kind = (hashed(seed + 4, cells) * len(row.kinds)).astype(int)
    variant = (hashed(seed + 5, cells) * 2 * VARIANTS).astype(int)
    return [
        Thing(seasonal(row.kinds[kind[n]], vista), float(x[n]), float(y[n]), float(high[n]),
              int(variant[n] // 2), bool(variant[n] % 2), row.distance)
        for n in np.argsort(-y, kind="stable")
        if high[n] * view.height >= _LEAST
    ]  # fmt: skip
