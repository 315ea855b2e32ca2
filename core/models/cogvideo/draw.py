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

    def __post_init__(self) -> None:
        self._labels = self.labels.cpu().numpy()

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
        scores = (scores - scores.max(-1, keepdims=True)) / np.float32(self.sampling.temperature)
        shares = np.exp(scores)
        return torch.tensor([self._pick(*each, top) for each in zip(shares, *u, strict=True)])

    def _pick(self, shares: np.ndarray, u: float, v: float, top: int) -> int:
        """shares: (K,) relative to the best -> a code: u draws its cluster, v the code in it."""
        codes, shares = likeliest(shares, self.sampling.top_p)
        labels = self._labels[codes]
        groups = np.bincount(labels, shares)
        best = np.argsort(-groups, kind="stable")[:top]
        inside = labels == best[_inverse(groups[best], u)]
        return int(codes[inside][_inverse(shares[inside] ** (1 / self.sampling.sharpen), v)])


def likeliest(shares: np.ndarray, top_p: float) -> tuple[np.ndarray, np.ndarray]:
    """shares: (K,) of the best one -> the codes that hold `top_p` of the sum, best first, with
    their shares."""
    codes, whole = np.flatnonzero(shares >= WORTH), float(shares.sum(dtype=np.float64))
    if shares[codes].sum(dtype=np.float64) < top_p * whole:
        codes = np.arange(len(shares))
    codes = codes[np.argsort(-shares[codes], kind="stable")][:MOST_CODES]
    found = shares[codes].astype(np.float64)
    kept = np.cumsum(found) - found < top_p * whole
    return codes[kept], found[kept]


def _inverse(shares: np.ndarray, u: float) -> int:
    """Index at which the cumulative shares pass u of their sum."""
    steps = np.cumsum(shares)
    return min(int(np.searchsorted(steps, u * steps[-1], side="right")), len(shares) - 1)
