"""How like two pictures are: their pixels, and what a recognizer's first layers see in them."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recognizer.judge import JUDGES, load_judge
from ..recognizer.network import Network

SEEN = 7  # layers of the recognizer's trunk: three maps, of a quarter and twice an eighth


class Likeness(nn.Module):
    """The mean absolute difference, and `weight` times that of features (1801.03924 in kind).

    They are those of the recognizer that knows another world than the data's: who judges the result
    has not taught it.
    """

    def __init__(self, data: str, weight: float) -> None:
        """data: their name. MissingCapability where the features' weights are not installed."""
        super().__init__()
        self.weight = weight
        self.layers = nn.ModuleList()
        if weight:
            world = data.partition(",")[0]
            other = next(name for name in JUDGES if name != world)
            network = cast(Network, load_judge(other).model.network)
            self.layers.extend(deepcopy(list(network.trunk.layers)[:SEEN]))
        self.requires_grad_(False)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1], sides multiples of 8 -> a scalar, 0 for the same."""
        pixels = (made.float() - real.float()).abs().mean()
        return pixels + self.weight * self._apart(made, real) if self.weight else pixels

    def _apart(self, made: Tensor, real: Tensor) -> Tensor:
        seen = 4 * (torch.cat([made, real.to(made.dtype)]) - 0.5)
        found = []
        for layer in self.layers:
            seen = layer(seen)
            if isinstance(layer, nn.ReLU):
                ours, theirs = F.normalize(seen.float(), dim=1).chunk(2)
                found.append((ours - theirs).square().sum(1).mean())
        return torch.stack(found).mean()
