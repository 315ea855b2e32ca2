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
    """A pool for each order of a batch's samples. number: of the patch that is being drawn in all.
    rows: which samples follow each pool's order."""

    def __init__(self, orders: Sequence[Order], extents: Extents, device: torch.device) -> None:
        alike: dict[Order, list[int]] = {}
        for sample, order in enumerate(orders):
            alike.setdefault(order, []).append(sample)
        self.pools: list[Pool[Tensor]] = [Pool(order, extents) for order in alike]
        self.rows = [torch.tensor(rows, device=device) for rows in alike.values()]
        self.number, self.samples = 0, len(orders)

    # Which patches are seen is looked up in tables of places: nothing to be compiled.
    @torch.compiler.disable
    def context(self, empty: Tensor) -> tuple[Tensor, Tensor]:
        """What each sample's patch sees: kept (L, B, P, M, C) and offsets (B, P), NONE where one
        sample has fewer than another. empty: (L, M, C), for these."""
        chosen = [pool.select(self.number) for pool in self.pools]
        most, (layers, *each) = max(map(len, chosen)), empty.shape
        kept = empty.new_zeros(layers, self.samples, most, *each)
        offsets = torch.full((self.samples, most), NONE, device=empty.device)
        for pool, rows, numbers in zip(self.pools, self.rows, chosen, strict=True):
            if numbers:
                found = torch.stack([pool.held[n] for n in numbers], dim=2)
                kept[:, rows, : len(numbers)] = found.to(kept.dtype)
                places = torch.tensor(pool.offsets(self.number), device=empty.device)
                offsets[rows, : len(numbers)] = places
        return kept, offsets

    @torch.compiler.disable
    def add(self, states: Tensor) -> None:
        """The patch's states, (L, B, M, C)."""
        for pool, rows in zip(self.pools, self.rows, strict=True):
            pool.add(self.number, states[:, rows])

    def next(self) -> None:
        """The patch is finished in all."""
        for pool in self.pools:
            pool.remove(self.number)
        self.number += 1


def pieces(config: Config, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """patches: (B, N, M), codes as `split` cuts them, of pictures and clips alike; grid: (B, 3),
    frames, rows and columns of each; order: (B,) index of each one's in `WAYS`; text and seen as
    the transformer reads them; around: (B, N, M, DIRECTIONS) for one that is told of them -> patch
    by patch, codes (B, M), text, seen, around, and the pools where the objective leaves its
    states."""
    pools = Pools(_orders(batch), config.extents, batch["patches"].device)
    told = {name: batch[name] for name in ("text", "seen")}
    for number, part in enumerate(batch["patches"].long().unbind(1)):
        around = {"around": batch["around"][:, number].long()} if config.local else {}
        yield {"codes": part, **told, **around, "pools": pools}
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
        # Kept as the products will take it; where work is counted, on meta, nothing is cast.
        device = empty.device.type
        if not empty.is_meta and torch.is_autocast_enabled(device):
            empty = empty.to(torch.get_autocast_dtype(device))
        kept, offsets = pools.context(empty)
        text = net.read(piece["text"]) if config.text_length else None
        padding = (1.0 - piece["seen"].to(empty.dtype)) * HIDDEN
        book, around = self.codebook.codes, piece.get("around")
        logits, states = net(codes, book, kept, offsets, text, padding, around)
        pools.add(states.to(empty.dtype))
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
