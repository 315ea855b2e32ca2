"""Both super-resolutions as loops over their graphs, for whoever holds them.

`engine` runs the graphs "direct" and "iterative"; all pictures of a batch share the random numbers,
so that equal neighbours in a clip get equal codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .grid_draw import GridDraw
from .iterative import ROUNDS, priorities

if TYPE_CHECKING:
    from ..engine import Engine

Text = tuple[Tensor, Tensor]  # rows of the table (B, S), and which are no padding


def direct_codes(
    engine: Engine,
    draw: GridDraw,
    text: Text,
    coarse: Tensor,
    temperature: float,
    sharpen: float,
    clusters: int,
) -> Tensor:
    """coarse: (B, N) codes -> fine ones (B, 9 N), in one pass."""
    rows, seen = text
    logits = engine.run("direct", text=rows, seen=seen, coarse=coarse)["logits"]
    return draw.clustered(logits, temperature, sharpen, clusters)


def refined_codes(
    engine: Engine,
    draw: GridDraw,
    text: Text,
    fine: Tensor,
    opening: int,
    temperature: float,
    free: Tensor | None = None,
) -> Tensor:
    """fine: (B, M) codes -> as many, drawn anew in six rounds where their priority is high enough.

    opening: the row of <start_of_image>; free: (M,), which may change, all where left out.
    """
    rows, seen = text
    order = priorities(int(fine.shape[1] ** 0.5))
    for number, top in enumerate(ROUNDS, start=1):
        asked = order >= number
        if free is not None:
            asked = asked & free
        codes = torch.where(asked, opening, fine)
        logits = engine.run("iterative", text=rows, seen=seen, codes=codes)["logits"]
        fine = torch.where(asked, draw.likeliest(logits, temperature, top), fine)
    return fine
