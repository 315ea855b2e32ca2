"""Drawing all codes of a picture at once, with uniform numbers from the host's generator."""

import numpy as np

from ...errors import DlnError
from ..arrays import Array, on_host
from ..layers.draw import SHARPEST
from ..noise import Noise


class GridDraw:
    """Codes from scores (B, M, K), where they are asked for: bool (B, M). labels: the cluster of
    each code, (K,)."""

    def __init__(self, labels: Array, rng: Noise) -> None:
        self.rng, found = rng, on_host(labels)
        if found.min() < 0 or found.max() >= len(found):
            raise DlnError("the weights are damaged: a code is of no cluster")
        # Codes cluster by cluster, where each begins, and its codes filled up with -1.
        self._order = found.argsort(kind="stable")
        counts = np.unique(found, return_counts=True)[1]
        self._starts = counts.cumsum() - counts
        columns = np.arange(len(found)) - self._starts.repeat(counts)
        self._members = np.full((len(counts), counts.max()), -1)
        self._members[np.arange(len(counts)).repeat(counts), columns] = self._order

    def clustered(
        self, logits: Array, asked: np.ndarray, spread: tuple[float, float, int]
    ) -> np.ndarray:
        """One of the best clusters, then a code in it -> (B, M), 0 where none is asked for. spread:
        temperature; how much sharper the draw of the code is; from how many clusters."""
        temperature, sharpen, top = spread
        scores, (first, second) = _finite(logits, asked), self._uniform(2, asked)
        if temperature == 0:
            return _laid(scores.argmax(-1), asked)
        shares = _shares(scores, temperature)
        groups = np.add.reduceat(shares[:, self._order], self._starts, axis=-1, dtype=np.float64)
        best = (-groups).argsort(-1, kind="stable")[:, :top]
        cluster = _taken(best, _inverse(_taken(groups, best), first))[:, 0]
        members = self._members[cluster]
        inside = np.where(members < 0, 0, _taken(shares, members.clip(0)).astype(np.float64))
        inside = (inside / inside.max(-1, keepdims=True)) ** (1 / sharpen)
        return _laid(_taken(members, _inverse(inside, second))[:, 0], asked)

    def likeliest(self, logits: Array, asked: np.ndarray, spread: tuple[float, int]) -> np.ndarray:
        """One of the likeliest codes -> (B, M), 0 where none is asked for. spread: temperature;
        from how many codes."""
        temperature, top = spread
        scores, (u,) = _finite(logits, asked), self._uniform(1, asked)
        if temperature == 0:
            return _laid(scores.argmax(-1), asked)
        codes = np.arange(scores.shape[-1])[None].repeat(len(scores), 0)
        if top < scores.shape[-1]:
            codes = (-scores).argpartition(top, -1)[:, :top]
        order = (-_taken(scores, codes)).argsort(-1, kind="stable")
        codes = _taken(codes, order)
        shares = _shares(_taken(scores, codes), temperature)
        return _laid(_taken(codes, _inverse(shares, u))[:, 0], asked)

    def _uniform(self, count: int, asked: np.ndarray) -> np.ndarray:
        """(count, codes asked for). A place has the same number in all pictures of a batch: frames
        of a clip share it."""
        drawn = self.rng.random((count, asked.shape[1]), dtype=np.float32)
        return np.broadcast_to(drawn[:, None], (count, *asked.shape))[:, asked]


def _laid(codes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Codes in their places, (B, M)."""
    found = np.zeros(asked.shape, np.int64)
    found[asked] = codes
    return found


def _finite(logits: Array, asked: np.ndarray) -> np.ndarray:
    """The scores that are asked for. DlnError where they are no numbers."""
    scores = on_host(logits[asked])
    if not np.isfinite(scores).all():
        raise DlnError("the model's scores are not finite: its weights are damaged")
    return scores


def _shares(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Of each row's likeliest, which has 1."""
    best = scores.max(-1, keepdims=True)
    return np.exp((scores - best) * np.float32(min(1 / temperature, SHARPEST)))


def _taken(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, places, -1)


def _inverse(shares: np.ndarray, u: np.ndarray) -> np.ndarray:
    """shares: (..., K), u: (...) -> the place, (..., 1), at which the cumulative shares pass u of
    their sum."""
    steps = shares.cumsum(-1, dtype=np.float64)
    passed = (steps <= u[..., None] * steps[..., -1:]).sum(-1, keepdims=True)
    return passed.clip(max=shares.shape[-1] - 1)
