"""Drawing all codes of a picture at once, with uniform numbers from the host's generator."""

import numpy as np
import torch
from torch import Tensor

from ...errors import DlnError
from ..layers.draw import SHARPEST


class GridDraw:
    """Codes from scores (B, M, K). labels: the cluster of each code, (K,)."""

    def __init__(self, labels: Tensor, rng: np.random.Generator) -> None:
        self.rng = rng
        self.labels = labels.cpu()
        if self.labels.min() < 0 or self.labels.max() >= len(self.labels):
            raise DlnError("the weights are damaged: a code is of no cluster")
        order = self.labels.argsort(stable=True)
        counts = torch.bincount(self.labels)
        members = torch.full((len(counts), int(counts.max())), -1)
        starts = counts.cumsum(0) - counts
        columns = torch.arange(len(order)) - starts.repeat_interleave(counts)
        members[self.labels[order], columns] = order
        self.members = members

    def clustered(self, logits: Tensor, temperature: float, sharpen: float, top: int) -> Tensor:
        """One of the `top` best clusters, then a code in it, sharper by `sharpen` -> (B, M)."""
        scores, (first, second) = _finite(logits), self._uniform(2, logits)
        if temperature == 0:
            return scores.argmax(-1)
        shares = _sharper(scores, temperature).softmax(-1)
        clusters = len(self.members)
        sums = torch.zeros(*shares.shape[:-1], clusters).index_add_(-1, self.labels, shares)
        best = sums.topk(min(top, clusters), dim=-1)
        cluster = best.indices.gather(-1, _inverse(best.values, first))[..., 0]
        members = self.members[cluster]
        inside = shares.double().gather(-1, members.clamp(min=0)).masked_fill(members < 0, 0)
        inside = (inside / inside.amax(-1, keepdim=True)) ** (1 / sharpen)
        return members.gather(-1, _inverse(inside, second))[..., 0]

    def likeliest(self, logits: Tensor, temperature: float, top: int) -> Tensor:
        """One of the `top` likeliest codes -> (B, M)."""
        scores, (u,) = _finite(logits), self._uniform(1, logits)
        if temperature == 0:
            return scores.argmax(-1)
        best = _sharper(scores, temperature).topk(min(top, scores.shape[-1]), dim=-1)
        return best.indices.gather(-1, _inverse(best.values.softmax(-1), u))[..., 0]

    def _uniform(self, count: int, logits: Tensor) -> Tensor:
        """The same numbers for all pictures of a batch: neighbours in a clip share them."""
        drawn = torch.from_numpy(self.rng.random((count, logits.shape[1]), dtype=np.float32))
        return drawn[:, None].expand(-1, logits.shape[0], -1)


def _finite(logits: Tensor) -> Tensor:
    """The scores on the host. DlnError where they are no numbers."""
    scores = logits.float().cpu()
    if not torch.isfinite(scores).all():
        raise DlnError("the model's scores are not finite: its weights are damaged")
    return scores


def _sharper(scores: Tensor, temperature: float) -> Tensor:
    best = scores.amax(-1, keepdim=True)
    return (scores - best) * min(1 / temperature, SHARPEST)


def _inverse(shares: Tensor, u: Tensor) -> Tensor:
    """shares: (..., K), u: (...) -> the place, (..., 1), at which the cumulative shares pass u of
    their sum."""
    steps = shares.cumsum(-1)
    passed = (steps <= (u[..., None] * steps[..., -1:])).sum(-1, keepdim=True)
    return passed.clamp(max=shares.shape[-1] - 1)
