"""Drawing tokens from scores, with numbers from the host's generator alone.

Plain numpy: a pool of threads that wakes for each small operation costs more than it computes.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

MOST_CODES = 512  # no draw looks further down the list
WORTH = 1e-3  # of the best code's share; usually those above it hold top_p


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Guidance is s in u + s (c - u); 1 is none, and interpolation has none.

    A cluster is drawn among the `first_clusters` best for the first frame and the `clusters` best
    for the others, then a code in it, sharper by `sharpen` (released code: 1.05 and 0.89).
    top_p keeps the likeliest codes that hold this share, before both draws.
    """

    guidance: float = 2.0
    temperature: float = 0.9
    top_p: float = 0.9
    sharpen: float = 0.85
    clusters: int = 12
    first_clusters: int = 16


@dataclass
class Draw:
    """Two-level sampling from scores."""

    labels: Tensor  # cluster of each code
    sampling: Sampling
    rng: np.random.Generator
    _labels: np.ndarray = field(init=False)
    _many: int = field(init=False)

    def __post_init__(self) -> None:
        self._labels = self.labels.cpu().numpy()
        self._many = int(self._labels.max()) + 1

    def __call__(self, logits: Tensor, guidance: float, top: int) -> Tensor:
        """logits: (B, K), or (2 B, K) under guidance, the second half without the text
        -> one code each (B,), from the `top` best clusters."""
        scores = logits.float().cpu().numpy()
        if guidance != 1:
            with_text, without = np.split(scores, 2)
            scores = without + np.float32(guidance) * (with_text - without)
        u = self.rng.random((2, len(scores)), dtype=np.float32)
        if self.sampling.temperature == 0:
            return torch.from_numpy(scores.argmax(-1))
        scores = scores - scores.max(-1, keepdims=True)
        scores *= np.float32(1 / self.sampling.temperature)
        codes, shares = likeliest(np.exp(scores, out=scores), self.sampling.top_p)
        return torch.from_numpy(self._pick(codes, shares, u, top))

    def _pick(self, codes: np.ndarray, shares: np.ndarray, u: np.ndarray, top: int) -> np.ndarray:
        """codes, shares: (B, M), best first -> (B,): u[0] draws the cluster, u[1] a code in it."""
        labels, rows = self._labels[codes], np.arange(len(codes))
        many = int(self._labels.max()) + 1
        flat = np.bincount(
            (labels + many * rows[:, None]).ravel(), shares.ravel(), many * len(rows)
        )
        groups = flat.reshape(len(rows), many)
        best = np.argsort(-groups, axis=1, kind="stable")[:, :top]
        drawn = best[rows, _inverse(np.take_along_axis(groups, best, 1), u[0])]
        inside = np.where(labels == drawn[:, None], shares, 0.0) ** (1 / self.sampling.sharpen)
        return codes[rows, _inverse(inside, u[1])]


def likeliest(shares: np.ndarray, top_p: float) -> tuple[np.ndarray, np.ndarray]:
    """shares: (B, K), the best 1 -> the codes that hold `top_p` of each row's sum, best first,
    and their shares; 0 for what is no part of it. Both (B, M)."""
    limits = top_p * shares.sum(-1)
    codes, found = _rows_of(shares >= WORTH, shares)
    if (found.sum(-1) < limits).any():
        codes, found = np.broadcast_to(np.arange(shares.shape[1]), shares.shape), shares
    if found.shape[1] > MOST_CODES:
        best = np.argpartition(-found, MOST_CODES, axis=1)[:, :MOST_CODES]
        codes, found = np.take_along_axis(codes, best, 1), np.take_along_axis(found, best, 1)
    order = np.argsort(-found, axis=1, kind="stable")
    codes = np.take_along_axis(codes, order, 1)
    found = np.take_along_axis(found, order, 1).astype(np.float64)
    before = np.cumsum(found, axis=1) - found
    return codes, np.where(before < limits[:, None], found, 0.0)


def _rows_of(chosen: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns chosen in each row and their values, as rows of one length filled up with 0."""
    rows, columns = np.nonzero(chosen)
    counts = chosen.sum(-1)
    places = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    shape = len(chosen), int(counts.max())
    where, found = np.zeros(shape, np.int64), np.zeros(shape)
    where[rows, places], found[rows, places] = columns, values[rows, columns]
    return where, found


def _inverse(shares: np.ndarray, u: np.ndarray) -> np.ndarray:
    """shares: (B, M), u: (B,) -> the column at which the cumulative shares pass u of their sum."""
    steps = np.cumsum(shares, axis=1)
    passed = (steps <= u[:, None] * steps[:, -1:]).sum(-1)
    return np.minimum(passed, shares.shape[1] - 1)
