"""Which token sees which: the masks of sequential generation and of interpolation."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array

if TYPE_CHECKING:
    import torch

GIVEN, NEW = (0, 2, 4), (1, 3)
# Which frames of a window lie beside one that is drawn and are known by then.
BESIDE = {
    "keyframes": {frame: (frame - 1,) for frame in range(1, len(GIVEN) + len(NEW))},
    "interpolation": {frame: (frame - 1, frame + 1) for frame in NEW},
}
NOTHING = -1  # instead of a code, in frames that are given
HIDDEN = np.float32("-inf")
Layer = tuple[Array, Array, Array]


class Visibility:
    """Additive masks (0 or -inf) among the frame tokens of one clip.

    within: (1, N, N) or (F, N, N), inside each frame (the backbone's channel);
    between: (F N, F N), over all frames (the second channel), before any window;
    window: side of the shifted windows of the second channel, or the whole grid.
    Arrays of numpy, or `on` a device of torch's.
    """

    def __init__(self, within: Array, between: Array, grid: int, frames: int, window: int) -> None:
        self.within, self.between = within, between
        self.grid, self.window = grid, window
        plain = _partition(between, grid, frames, window, 0)
        shifted = (
            plain if window == grid else _partition(between, grid, frames, window, window // 2)
        )
        self._layers: tuple[Layer, Layer] = (plain, shifted)
        self.dense: Array = np.stack([_unfold(*layer) for layer in self._layers])

    @property
    def whole(self) -> bool:
        """Whether the window is the whole frame."""
        return self.window == self.grid

    def regions(self) -> np.ndarray:
        """(2, N): for even and for odd layers, the window of each token of a frame, from 0."""
        side = np.arange(self.grid)
        kinds = []
        for shift in (0, 0 if self.whole else self.window // 2):
            # What wraps around the border is no neighbour of the rest of its window.
            line = 2 * ((side - shift) % self.grid // self.window) + (side < shift)
            cells = line[:, None] * 2 * self.grid + line[None]
            kinds.append(np.unique(cells.ravel(), return_inverse=True)[1])
        return np.stack(kinds)

    def on(self, device: torch.device | str) -> Visibility:
        """The same masks as tensors there."""
        import torch

        def there(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        other = copy(self)
        other.within, other.between, other.dense = map(
            there, (self.within, self.between, self.dense)
        )
        plain, shifted = ((there(a), there(b), there(c)) for a, b, c in self._layers)
        other._layers = plain, shifted
        return other

    def layer(self, index: int) -> Layer:
        """Order of the tokens window by window, its inverse, and (windows, M, M) masks."""
        return self._layers[index % 2]


def _partition(between: np.ndarray, grid: int, frames: int, window: int, shift: int) -> Layer:
    """Swin's partition of a (frames, grid, grid) block into windows that hold all frames.

    A shifted window that wraps around the border is cut along it, so that its parts, which are
    not neighbours in the picture, do not see each other.
    """
    index = np.arange(frames * grid * grid).reshape(frames, grid, grid)
    part = np.arange(grid) >= grid - shift
    region = np.broadcast_to(2 * part[:, None] + part[None], index.shape)
    rolled = np.roll(index, (-shift, -shift), (1, 2))
    order, regions = (_windows(block, window) for block in (rolled, region))
    allowed = between[order[:, :, None], order[:, None, :]]
    allowed[regions[:, :, None] != regions[:, None, :]] = HIDDEN
    flat = order.ravel()
    return flat, flat.argsort(), allowed


def _windows(block: np.ndarray, window: int) -> np.ndarray:
    """(F, G, G) -> (windows, F * window * window)."""
    frames, grid, _ = block.shape
    side = grid // window
    split = block.reshape(frames, side, window, side, window).transpose(1, 3, 0, 2, 4)
    return split.reshape(side * side, -1)


def _unfold(order: np.ndarray, inverse: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The same mask as one (F N, F N) matrix in the tokens' own order."""
    blocks = np.full((len(order), len(order)), HIDDEN)
    rows = allowed.shape[-1]
    for number, block in enumerate(allowed):
        span = slice(number * rows, (number + 1) * rows)
        blocks[span, span] = block
    return blocks[inverse][:, inverse]


def _additive(allowed: np.ndarray) -> np.ndarray:
    return np.where(allowed, np.float32(0), HIDDEN)


def _triangle(length: int) -> np.ndarray:
    return np.tri(length, dtype=bool)


@lru_cache(maxsize=8)
def sequential(grid: int, frames: int, device: torch.device | str | None = None) -> Visibility:
    """Key frames: everything is causal (paper section 3.1, stage 1). device: of torch's, where
    tensors are wanted."""
    if device is not None:
        return sequential(grid, frames).on(device)
    length = grid * grid
    within = _additive(_triangle(length))[None]
    return Visibility(within, _additive(_triangle(frames * length)), grid, frames, grid)


@lru_cache(maxsize=8)
def interpolating(
    grid: int, frames: int, window: int, device: torch.device | str | None = None
) -> Visibility:
    """Frames 0, 2, 4 are given and see each other fully, but no new frame; frames 1 and 3 are
    causal inside, see the given frames, and the earlier new frame (paper section 3.1, stage 2).
    device: as of `sequential`."""
    if device is not None:
        return interpolating(grid, frames, window).on(device)
    length = grid * grid
    frame = np.arange(frames * length) // length
    new, row, column = frame % 2 == 1, frame[:, None], frame[None]
    past = (row > column) | ((row == column) & _triangle(frames * length))
    allowed = ~new[None] | (new[:, None] & past)
    triangle = _triangle(length)
    within = np.stack([triangle if f % 2 else np.ones_like(triangle) for f in range(frames)])
    return Visibility(_additive(within), _additive(allowed), grid, frames, window)
