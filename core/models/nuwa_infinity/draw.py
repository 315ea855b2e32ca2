"""Drawing codes from scores, with numbers from the host's generator alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...errors import DlnError
from ..noise import Noise
from .about import Sampling

SHARPEST = 1e30  # what scores are multiplied by; more is no number


@dataclass
class Draw:
    """One code after the other."""

    sampling: Sampling
    rng: Noise

    def __call__(self, logits: Tensor) -> int:
        """logits: (1, K), or (2, K) under guidance, the second without the prompt -> a code.
        DlnError where they are no numbers."""
        scores = logits.float().cpu().numpy()
        if len(scores) == 2:
            scores = scores[1:] + np.float32(self.sampling.guidance) * (scores[:1] - scores[1:])
        u = self.rng.random()
        if not np.isfinite(scores).all():
            raise DlnError("the model's scores are not finite: its weights are damaged")
        if self.sampling.temperature == 0:
            return int(scores[0].argmax())
        codes, shares = self.likeliest(scores[0])
        steps = shares.cumsum()
        return int(codes[min(int(steps.searchsorted(u * steps[-1], "right")), len(codes) - 1)])

    def likeliest(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """scores: (K,) -> the codes to draw from, best first, and their shares of any sum."""
        count = min(self.sampling.top_k, len(scores))
        codes = (-scores).argpartition(count - 1)[:count]
        codes = codes[np.lexsort((codes, -scores[codes]))]
        sharper = min(1 / self.sampling.temperature, SHARPEST)
        shares = np.exp((scores[codes] - scores[codes[0]]).astype(np.float64) * sharper)
        before = shares.cumsum() - shares
        kept = max(1, int(before.searchsorted(self.sampling.top_p * shares.sum())))
        return codes[:kept], shares[:kept]
