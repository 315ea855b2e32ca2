"""Keys and values of the tokens so far, kept where the next token looks for them.

A token sees its own window of each frame only. So every window has buffers of its own, and a step
reads those of one window instead of masking most of a large one.
"""

import numpy as np

from ..arrays import Array
from ..layers.cache import Cache

HIDDEN = np.float32("-inf")


class Windows:
    """The caches of one channel: for every kind of layer, one for each window of a frame."""

    def __init__(self, k: Array, v: Array, padding: np.ndarray, regions: np.ndarray) -> None:
        """k, v: (L, B, H, S, D) of the text, padding: (B, S); regions: (kinds, N), the window of
        each token of a frame for layers 0, kinds, 2 kinds ..., for layers 1, kinds + 1 ... ."""
        self.layers, self.kinds, self.padding = len(k), len(regions), padding
        self.regions: list[list[int]] = [row.tolist() for row in regions]
        self.ranks = [[row[:n].count(w) for n, w in enumerate(row)] for row in self.regions]
        self.members = [
            [np.array([n for n, w in enumerate(row) if w == window]) for window in sorted({*row})]
            for row in self.regions
        ]
        self.caches = [
            [Cache(k[kind :: self.kinds], v[kind :: self.kinds]) for _ in windows]
            for kind, windows in enumerate(self.members)
        ]
        self._bias: list[list[np.ndarray]] = []

    def begin(self) -> None:
        """Room for a frame, and what each of its tokens sees of its window."""
        self._bias = [
            [self._prepare(*pair) for pair in zip(caches, members, strict=True)]
            for caches, members in zip(self.caches, self.members, strict=True)
        ]

    def _prepare(self, cache: Cache, members: np.ndarray) -> np.ndarray:
        """(tokens of the window, B, 1, room)."""
        cache.reserve(len(members))
        count, (batch, texts) = len(members), self.padding.shape
        bias = np.zeros((count, batch, 1, cache.room), np.float32)
        bias[..., :texts] = self.padding[None, :, None]
        filled = cache.used + np.arange(count)
        hidden = np.arange(texts, cache.room) >= filled[:, None]
        bias[..., texts:][np.broadcast_to(hidden[:, None, None], bias[..., texts:].shape)] = HIDDEN
        return bias

    def look(self, number: int) -> tuple[list[Array], list[Array], list[np.ndarray]]:
        """For token `number` of the frame begun: k and v of every layer, and for each kind of
        layer the mask (B, 1, room)."""
        k: list[Array] = [self.padding] * self.layers
        v, bias = list(k), []
        for kind, windows in enumerate(self.caches):
            window = self.regions[kind][number]
            k[kind :: self.kinds], v[kind :: self.kinds] = windows[window].k, windows[window].v
            bias.append(self._bias[kind][window][self.ranks[kind][number]])
        return k, v, bias

    def add(self, number: int, k: Array, v: Array) -> None:
        """Keep token `number` of the frame begun: (L, B, H, 1, D)."""
        for kind, windows in enumerate(self.caches):
            cache = windows[self.regions[kind][number]]
            cache.add(k[kind :: self.kinds], v[kind :: self.kinds])

    def add_frames(self, k: Array, v: Array, ahead: int) -> None:
        """Keep whole frames, one after the other: (L, B, H, F N, D); `ahead` more will come."""
        length = len(self.regions[0])
        starts = np.arange(0, k.shape[3], length)
        for kind, windows in enumerate(self.caches):
            for cache, members in zip(windows, self.members[kind], strict=True):
                places = (starts[:, None] + members).ravel()
                cache.reserve(len(places) + ahead * len(members))
                cache.add(*(x[kind :: self.kinds][:, :, :, places] for x in (k, v)))

    def clear(self) -> None:
        """Forget all but the text."""
        for cache in (cache for windows in self.caches for cache in windows):
            cache.cut(self.padding.shape[1])
