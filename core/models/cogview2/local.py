"""Local attention over a square grid of tokens, without a kernel of its own.

The grid is cut into tiles of 6 x 6 tokens. A tile's queries meet, in one product of matrices, all
keys that any of them sees; a table hides from each query what lies outside its own window or
outside the picture. At 60 x 60 tokens and a window of 9 x 5 that computes 140 scores a token where
45 are seen, and gathers 3.9 copies of a key where a gather for each token makes 45.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .config import SCALE, TILE

HIDDEN = -30_000.0  # added to a score: its exponential is 0, and half precision holds it
CPU = torch.device("cpu")


class Near(NamedTuple):
    """What each tile's queries meet: places (T, K) of keys, and a bias (T, 36, K) on scores."""

    places: Tensor
    bias: Tensor


class Tiles(NamedTuple):
    """The order in which tokens are computed, (M,) places in the picture; its inverse; the coarse
    token that each lies in; what they see of their own kind (places in that order) and of the
    coarse grid (places row after row)."""

    order: Tensor
    inverse: Tensor
    within: Tensor
    fine: Near
    coarse: Near


@lru_cache(maxsize=8)
def tiles(grid: int, kernel: int, cross: int, device: torch.device = CPU) -> Tiles:
    """For `grid` coarse tokens along a side: fine tokens see 2 kernel - 1 rows and `kernel` columns
    around them, and `cross` x `cross` coarse tokens around the one that they lie in."""
    side = SCALE * grid
    squares = torch.arange(side * side).view(side // TILE, TILE, side // TILE, TILE)
    squares = squares.transpose(1, 2).reshape(-1, TILE * TILE)
    order = squares.flatten()
    inverse = order.argsort()
    rows, columns = squares // side, squares % side
    own = _near(rows, columns, kernel - 1, kernel // 2, side)
    coarse = _near(rows // SCALE, columns // SCALE, cross // 2, cross // 2, grid)
    own = Near(inverse[own.places], own.bias)
    within = (rows // SCALE * grid + columns // SCALE).flatten()
    found = order, inverse, within, *own, *coarse
    order, inverse, within, *nears = (tensor.to(device) for tensor in found)
    return Tiles(order, inverse, within, Near(*nears[:2]), Near(*nears[2:]))


def _near(rows: Tensor, columns: Tensor, down: int, along: int, side: int) -> Near:
    """rows, columns: (T, 36), the middle of each query's window in a grid of `side` x `side`; the
    window reaches `down` rows up and down and `along` columns left and right."""
    seen_rows, seen_columns = _reach(rows, down), _reach(columns, along)
    shape = (len(rows), seen_rows.shape[1], seen_columns.shape[1])
    r = seen_rows[:, :, None].expand(shape).flatten(1)
    c = seen_columns[:, None].expand(shape).flatten(1)
    inside = (r >= 0) & (r < side) & (c >= 0) & (c < side)
    visible = inside[:, None]
    visible = visible & ((r[:, None] - rows[:, :, None]).abs() <= down)
    visible = visible & ((c[:, None] - columns[:, :, None]).abs() <= along)
    places = r.clamp(0, side - 1) * side + c.clamp(0, side - 1)
    return Near(places, torch.zeros(visible.shape).masked_fill(~visible, HIDDEN))


def _reach(middles: Tensor, far: int) -> Tensor:
    """(T, 36) -> (T, n): from the smallest, `far` less, to the largest, `far` more."""
    first, last = middles.amin(1), middles.amax(1)
    return first[:, None] - far + torch.arange(int((last - first).max()) + 2 * far + 1)


def gathered(keys: Tensor, near: Near) -> Tensor:
    """(B, H, N, D) -> (B, H, T, K, D): what each tile meets."""
    found = keys.index_select(2, near.places.flatten())
    return found.unflatten(2, near.places.shape)


def attend_parts(q: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Attention over several groups of keys at once, tile by tile.

    q: (B, H, M, D) in the tiles' order; parts: keys and values, (B, H, T or 1, K, D) each, and a
    bias like (B, 1, T, 36, K) on their scores -> (B, M, H D).
    """
    tiled = (q * q.shape[-1] ** -0.5).unflatten(2, (-1, TILE * TILE))
    scores = [tiled @ k.transpose(-1, -2) + bias.to(q.dtype) for k, _, bias in parts]
    weights = torch.cat(scores, dim=-1).softmax(-1, dtype=torch.float32).to(q.dtype)
    shares = weights.split([k.shape[3] for k, _, _ in parts], dim=-1)
    out = shares[0] @ parts[0][1]
    for share, (_, v, _) in zip(shares[1:], parts[1:], strict=True):
        out = out + share @ v
    return out.flatten(2, 3).transpose(1, 2).flatten(2)
