"""Render and optimise (algorithm 1 of 2207.09814): an optimiser step after each patch.

A batch's pictures are drawn patch by patch, each in its own order; what is kept of the finished
patches was computed with the weights of their time, and passes no gradient on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.codebook import Codebook
from .config import WAYS, Config
from .directions import Extents, Order, straight
from .pool import Pool
from .transformer import HIDDEN, NONE, Transformer


class Pools:
    """A pool for each sample of a batch. number: of the patch that is being drawn in all."""

    def __init__(self, orders: Sequence[Order], extents: Extents) -> None:
        self.pools: list[Pool[Tensor]] = [Pool(order, extents) for order in orders]
        self.number = 0

    def context(self, empty: Tensor) -> tuple[Tensor, Tensor]:
        """What each sample's patch sees: kept (L, B, P, M, C) and offsets (B, P), NONE where one
        sample has fewer than another. empty: (L, M, C), for these."""
        chosen = [pool.select(self.number) for pool in self.pools]
        most = max(map(len, chosen))
        kept, offsets = [], torch.full((len(chosen), most), NONE)
        for sample, (pool, numbers) in enumerate(zip(self.pools, chosen, strict=True)):
            offsets[sample, : len(numbers)] = torch.tensor(pool.offsets(self.number))
            kept += [pool.held[n] for n in numbers] + [empty] * (most - len(numbers))
        whole = torch.stack(kept) if kept else empty.new_empty(0, *empty.shape)
        return whole.unflatten(0, (len(chosen), most)).movedim(2, 0), offsets.to(empty.device)

    def add(self, states: Tensor) -> None:
        """The patch's states, (L, B, M, C)."""
        for sample, pool in enumerate(self.pools):
            pool.add(self.number, states[:, sample])

    def next(self) -> None:
        """The patch is finished in all."""
        for pool in self.pools:
            pool.remove(self.number)
        self.number += 1


def pieces(config: Config, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """patches: (B, N, M), codes as `split` cuts them, of pictures and clips alike; grid: (B, 3),
    frames, rows and columns of each; order: (B,) index of each one's in `WAYS`; text and seen as
    the transformer reads them -> patch by patch, codes (B, M), text, seen, and the pools where the
    objective leaves its states."""
    pools = Pools(_orders(batch), config.extents)
    for part in batch["patches"].long().unbind(1):
        yield {"codes": part, "text": batch["text"], "seen": batch["seen"], "pools": pools}
        pools.next()


def _orders(batch: dict[str, Any]) -> list[Order]:
    patches, grids, ways = batch["patches"], batch["grid"], batch["order"]
    if grids.is_meta:  # where work is counted there are no numbers: any row of patches will do
        return [straight(WAYS[0], 1, 1, patches.shape[1])] * len(patches)
    pairs = zip(ways.tolist(), grids.tolist(), strict=True)
    return [straight(WAYS[way], *grid) for way, grid in pairs]


class PatchObjective(nn.Module):
    """The cross-entropy of a patch's codes, in nats a code."""

    def __init__(self, transformer: Transformer, codebook: Codebook, smoothing: float = 0) -> None:
        """smoothing: of the labels."""
        super().__init__()
        self.transformer, self.codebook, self.smoothing = transformer, codebook, smoothing

    def forward(self, piece: dict[str, Any]) -> dict[str, Tensor]:
        """piece: as `pieces` cuts them."""
        net, codes, pools = self.transformer, piece["codes"], piece["pools"]
        config = net.config
        empty = net.start.detach().new_zeros(config.layers, config.tokens, config.width)
        kept, offsets = pools.context(empty)
        text = net.read(piece["text"]) if config.text_length else None
        padding = (1.0 - piece["seen"].to(empty.dtype)) * HIDDEN
        logits, states = net(codes, self.codebook.codes, kept, offsets, text, padding)
        pools.add(states)
        scores = logits.flatten(0, 1).float()
        return {"loss": F.cross_entropy(scores, codes.flatten(), label_smoothing=self.smoothing)}


class PictureObjective(nn.Module):
    """The same for whole pictures, all patches in one step: what render and optimise is held
    against."""

    def __init__(self, patches: PatchObjective) -> None:
        super().__init__()
        self.patches = patches

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """batch: as `pieces` takes it."""
        config = self.patches.transformer.config
        losses = [self.patches(piece)["loss"] for piece in pieces(config, batch)]
        return {"loss": torch.stack(losses).mean()}
