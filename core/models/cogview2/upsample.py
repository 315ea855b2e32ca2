"""Both super-resolutions as loops over their graphs, for whoever holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import run
from .grid_draw import GridDraw
from .rounds import ROUNDS, priorities
from .still import Still

if TYPE_CHECKING:
    from ..engine import Engine

Text = tuple[np.ndarray, np.ndarray]  # rows of the table (1, S), and which are no padding
Pick = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # codes (B, M) from scores (B, M, K) where asked (B, M)


@dataclass
class Upsampler:
    """Coarse codes to fine ones, for B pictures of one prompt.

    engine runs the graphs "direct" and "iterative"; sampling: settings with sharpen,
    fine_temperature and fine_clusters; still: what stays as it was in the frame before, where the
    pictures are frames of a clip.
    """

    engine: Engine
    draw: GridDraw
    sampling: Any
    still: Still | None = None

    def direct(self, text: Text, coarse: np.ndarray, length: int) -> np.ndarray:
        """coarse: (B, N) codes -> fine ones (B, M = length), in one pass."""
        told = self.sampling
        spread = told.fine_temperature, told.sharpen, told.fine_clusters
        asked = self._free(np.ones((len(coarse), length), dtype=bool))
        pick = partial(self.draw.clustered, spread=spread)
        return self._settled(self._drawn("direct", text, "coarse", coarse, asked, pick))

    def refined(
        self, text: Text, fine: np.ndarray, opening: int, free: np.ndarray | None = None
    ) -> np.ndarray:
        """fine: (B, M) codes -> as many, drawn anew in six rounds where their priority is high
        enough. opening: the row of <start_of_image>; free: (M,), which may change, all where left
        out."""
        order = priorities(int(fine.shape[1] ** 0.5))
        for number, top in enumerate(ROUNDS, start=1):
            hidden = order >= number if free is None else (order >= number) & free
            codes = np.where(hidden, opening, fine)
            asked = self._free(np.broadcast_to(hidden, fine.shape))
            pick = partial(self.draw.likeliest, spread=(self.sampling.fine_temperature, top))
            made = self._drawn("iterative", text, "codes", codes, asked, pick)
            fine = self._settled(np.where(asked, made, fine))
        return fine

    def _drawn(
        self, graph: str, text: Text, name: str, codes: np.ndarray, asked: np.ndarray, pick: Pick
    ) -> np.ndarray:
        """What `pick` makes of the graph's scores, (B, M); pictures of which nothing is asked for
        are not computed. codes: (B, ...), the graph's input `name`."""
        busy = asked.any(1)
        made = np.zeros(asked.shape, np.int64)
        if busy.any():
            rows, seen = (words.repeat(busy.sum(), 0) for words in text)
            out = run(self.engine, graph, text=rows, seen=seen, **{name: codes[busy]})
            made[busy] = pick(out["logits"], asked[busy])
        return made

    def _free(self, asked: np.ndarray) -> np.ndarray:
        """(B, M): what is asked for and does not stay."""
        return asked if self.still is None else asked & ~self.still.stays

    def _settled(self, fine: np.ndarray) -> np.ndarray:
        return fine if self.still is None else self.still(fine)
