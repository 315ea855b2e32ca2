"""Which token sees which: the masks of sequential generation and of interpolation."""

from functools import lru_cache

import torch
from torch import Tensor

GIVEN, NEW = (0, 2, 4), (1, 3)


class Visibility:
    """Additive masks (0 or -inf) among the frame tokens of one clip.

    within: (1, N, N) or (F, N, N), inside each frame (the backbone's channel);
    between: (F N, F N), over all frames (the second channel), before any window;
    window: side of the shifted windows of the second channel, or the whole grid.
    """

    def __init__(self, within: Tensor, between: Tensor, grid: int, frames: int, window: int):
        self.within, self.between = within, between
        self.grid, self.window = grid, window
        plain = _partition(between, grid, frames, window, 0)
        shifted = (
            plain if window == grid else _partition(between, grid, frames, window, window // 2)
        )
        self._layers = (plain, shifted)
        self.dense = torch.stack([_unfold(*layer) for layer in self._layers])

    @property
    def whole(self) -> bool:
        """Whether the window is the whole frame."""
        return self.window == self.grid

    def regions(self) -> Tensor:
        """(2, N): for even and for odd layers, the window of each token of a frame, from 0."""
        side = torch.arange(self.grid)
        kinds = []
        for shift in (0, 0 if self.whole else self.window // 2):
            # What wraps around the border is no neighbour of the rest of its window.
            line = 2 * ((side - shift) % self.grid // self.window) + (side < shift)
            cells = line[:, None] * 2 * self.grid + line[None]
            kinds.append(cells.flatten().unique(return_inverse=True)[1])
        return torch.stack(kinds)

    def layer(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Order of the tokens window by window, its inverse, and (windows, M, M) masks."""
        return self._layers[index % 2]


def _partition(between: Tensor, grid: int, frames: int, window: int, shift: int):
    """Swin's partition of a (frames, grid, grid) block into windows that hold all frames.

    A shifted window that wraps around the border is cut along it, so that its parts, which are
    not neighbours in the picture, do not see each other.
    """
    index = torch.arange(frames * grid * grid, device=between.device).view(frames, grid, grid)
    part = torch.arange(grid, device=between.device) >= grid - shift
    region = (2 * part[:, None] + part[None]).expand(frames, -1, -1)
    rolled = torch.roll(index, (-shift, -shift), (1, 2))
    order, regions = (_windows(t, window) for t in (rolled, region))
    allowed = between[order[:, :, None], order[:, None, :]]
    allowed = allowed.masked_fill(regions[:, :, None] != regions[:, None, :], float("-inf"))
    flat = order.flatten()
    return flat, flat.argsort(), allowed


def _windows(block: Tensor, window: int) -> Tensor:
    """(F, G, G) -> (windows, F * window * window)."""
    frames, grid, _ = block.shape
    side = grid // window
    split = block.reshape(frames, side, window, side, window).permute(1, 3, 0, 2, 4)
    return split.reshape(side * side, -1)


def _unfold(order: Tensor, inverse: Tensor, allowed: Tensor) -> Tensor:
    """The same mask as one (F N, F N) matrix in the tokens' own order."""
    blocks = allowed.new_full((len(order), len(order)), float("-inf"))
    rows = allowed.shape[-1]
    for number, block in enumerate(allowed):
        span = slice(number * rows, (number + 1) * rows)
        blocks[span, span] = block
    return blocks[inverse][:, inverse]


def _additive(allowed: Tensor) -> Tensor:
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, float("-inf"))


CPU = torch.device("cpu")


@lru_cache(maxsize=8)
def sequential(grid: int, frames: int, device: torch.device = CPU) -> Visibility:
    """Key frames: everything is causal (paper section 3.1, stage 1)."""
    length = grid * grid
    causal = torch.ones(frames * length, frames * length, dtype=torch.bool, device=device).tril()
    within = causal[:length, :length].unsqueeze(0)
    return Visibility(_additive(within), _additive(causal), grid, frames, grid)


@lru_cache(maxsize=8)
def interpolating(grid: int, frames: int, window: int, device: torch.device = CPU) -> Visibility:
    """Frames 0, 2, 4 are given and see each other fully, but no new frame; frames 1 and 3 are
    causal inside, see the given frames, and the earlier new frame (paper section 3.1, stage 2)."""
    length = grid * grid
    frame = torch.arange(frames * length, device=device) // length
    new, row, column = frame % 2 == 1, frame[:, None], frame[None]
    causal = torch.ones(frames * length, frames * length, dtype=torch.bool, device=device).tril()
    past = (row > column) | ((row == column) & causal)
    allowed = ~new[None] | (new[:, None] & past)
    triangle = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    full = torch.ones_like(triangle)
    within = torch.stack([triangle if f % 2 else full for f in range(frames)])
    return Visibility(_additive(within), _additive(allowed), grid, frames, window)
