"""Drawing tokens from scores, with numbers from the host's generator alone.

Plain numpy, row by row: a pool of threads that wakes for each small operation costs more than it
computes, and so does filling rows of different lengths up to a batch.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import DlnError
from ..arrays import Array, on_host
from ..noise import Noise

MOST_CODES = 512  # no draw looks further down the list
SHARPEST = 1e30  # what scores are multiplied by; more is no number
WORTH = 1e-3  # of the best code's share; usually those above it hold top_p


@dataclass
class Draw:
    """Two-level sampling from scores. sampling: settings with temperature, top_p and sharpen."""

    labels: Array  # cluster of each code
    sampling: Any
    rng: Noise
    _labels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._labels = on_host(self.labels)
        if self._labels.min() < 0 or self._labels.max() >= len(self._labels):
            raise DlnError("the weights are damaged: a code is of no cluster")

    def __call__(self, logits: Array, guidance: float, top: int) -> np.ndarray:
        """logits: (B, K), or (2 B, K) under guidance, the second half without the text
        -> one code each (B,), from the `top` best clusters."""
        scores = on_host(logits)
        if guidance != 1:
            with_text, without = np.split(scores, 2)
            scores = without + np.float32(guidance) * (with_text - without)
        u = self.rng.random((2, len(scores)), dtype=np.float32)
        if self.sampling.temperature == 0:
            return scores.argmax(-1)
        scores = scores - scores.max(-1, keepdims=True)
        scores *= np.float32(min(1 / self.sampling.temperature, SHARPEST))
        shares = np.exp(scores, out=scores)
        rows = zip(shares, u[0], u[1], strict=True)
        return np.array([self._pick(*row, top=top) for row in rows])

    def _pick(self, shares: np.ndarray, first: float, second: float, top: int) -> int:
        """shares: (K,), the best 1; `first` draws the cluster, `second` a code in it."""
        codes, shares = likeliest(shares, self.sampling.top_p)
        labels = self._labels[codes]
        groups = np.bincount(labels, shares)
        best = (-groups).argsort(kind="stable")[:top]
        inside = labels == best[_inverse(groups[best], first)]
        codes, shares = codes[inside], shares[inside] ** (1 / self.sampling.sharpen)
        return int(codes[_inverse(shares, second)])


def likeliest(shares: np.ndarray, top_p: float) -> tuple[np.ndarray, np.ndarray]:
    """shares: (K,), the best 1 -> the codes that hold `top_p` of the sum, best first, and their
    shares. DlnError for shares that are no numbers."""
    limit = top_p * shares.sum()
    if np.isnan(limit):
        raise DlnError("the model's scores are not finite: its weights are damaged")
    codes = (shares >= WORTH).nonzero()[0]
    if shares[codes].sum() < limit:
        codes = np.arange(len(shares))
    if len(codes) > MOST_CODES:
        codes = codes[(-shares[codes]).argpartition(MOST_CODES)[:MOST_CODES]]
    found = shares[codes].astype(np.float64)
    order = (-found).argsort(kind="stable")
    found = found[order]
    steps = found.cumsum()
    count = (steps - found).searchsorted(limit)
    return codes[order[:count]], found[:count]


def _inverse(shares: np.ndarray, u: float) -> int:
    """shares: (M,) -> the place at which the cumulative shares pass u of their sum."""
    steps = shares.cumsum()
    return min(int(steps.searchsorted(u * steps[-1], side="right")), len(shares) - 1)
