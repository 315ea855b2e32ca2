"""Drawing all codes of a picture at once, with uniform numbers from the host's generator."""

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import DlnError
from ..layers.draw import SHARPEST
from ..noise import Noise


class GridDraw:
    """Codes from scores (B, M, K), where they are asked for: bool (B, M). labels: the cluster of
    each code, (K,)."""

    def __init__(self, labels: Tensor, rng: Noise) -> None:
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

    def clustered(self, logits: Tensor, asked: Tensor, spread: tuple[float, float, int]) -> Tensor:
        """One of the best clusters, then a code in it -> (B, M), 0 where none is asked for. spread:
        temperature; how much sharper the draw of the code is; from how many clusters."""
        temperature, sharpen, top = spread
        scores, (first, second) = _finite(logits[asked.to(logits.device)]), self._uniform(2, asked)
        if temperature == 0:
            return _laid(scores.argmax(-1), asked)
        shares = _sharper(scores, temperature).softmax(-1)
        clusters = len(self.members)
        belongs = nn.functional.one_hot(self.labels, clusters).to(shares.dtype)
        best = (shares @ belongs).topk(min(top, clusters), dim=-1)
        cluster = best.indices.gather(-1, _inverse(best.values, first))[..., 0]
        members = self.members[cluster]
        inside = shares.double().gather(-1, members.clamp(min=0)).masked_fill(members < 0, 0)
        inside = (inside / inside.amax(-1, keepdim=True)) ** (1 / sharpen)
        return _laid(members.gather(-1, _inverse(inside, second))[..., 0], asked)

    def likeliest(self, logits: Tensor, asked: Tensor, spread: tuple[float, int]) -> Tensor:
        """One of the likeliest codes -> (B, M), 0 where none is asked for. spread: temperature;
        from how many codes."""
        temperature, top = spread
        scores, (u,) = _finite(logits[asked.to(logits.device)]), self._uniform(1, asked)
        if temperature == 0:
            return _laid(scores.argmax(-1), asked)
        best = scores.topk(min(top, scores.shape[-1]), dim=-1)
        shares = _sharper(best.values, temperature).softmax(-1)
        return _laid(best.indices.gather(-1, _inverse(shares, u))[..., 0], asked)

    def _uniform(self, count: int, asked: Tensor) -> Tensor:
        """(count, codes asked for). A place has the same number in all pictures of a batch: frames
        of a clip share it."""
        drawn = torch.from_numpy(self.rng.random((count, asked.shape[1]), dtype=np.float32))
        return drawn[:, None].expand(-1, asked.shape[0], -1)[:, asked]


def _laid(codes: Tensor, asked: Tensor) -> Tensor:
    """Codes in their places, (B, M)."""
    return torch.zeros(asked.shape, dtype=torch.long).masked_scatter(asked, codes)


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
