"""A codebook learned by exponential moving averages, with revival of codes that nobody uses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .precision import full_precision

SPLIT = 2.0**16 + 1  # leaves the 8 leading digits of a float32's 24 (Dekker 1971)


class Codebook(nn.Module):
    """Vector quantisation on the unit sphere (VQ-VAE-2 section 3, cosine codes of ViT-VQGAN).

    For the first `warmup` updates nothing is quantised, so that the encoder has spread its
    vectors before codes are placed on some of them: without this a large codebook collapses.
    Then the codes follow the mean of the vectors assigned to them, and a code that attracts less
    than `revive_below` of its fair share is moved onto a random vector of the current batch.
    """

    codes: Tensor
    share: Tensor
    updates: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        decay: float = 0.98,
        revive_below: float = 0.05,
        warmup: int = 300,
        coarse: bool = False,
    ) -> None:
        """coarse: cosines are compared as bfloat16 tells them, the first of equal ones is taken."""
        super().__init__()
        self.coarse = coarse
        self.size, self.decay, self.revive_below = size, decay, revive_below
        self.warmup = warmup
        self.register_buffer("codes", F.normalize(torch.randn(size, dim), dim=-1))
        self.register_buffer("share", torch.ones(size))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self._clear()

    def _clear(self) -> None:
        self._sums = self._counts = self._candidates = None

    def nearest(self, z: Tensor) -> Tensor:
        """z: (N, D), any length -> (N,) index of the code with the largest cosine, whatever the
        precision of all else: what learns from codes has to find the same ones again."""
        with full_precision(z):
            z, codes = z.float(), self.codes.float()
            if not self.coarse:
                return (z @ codes.t()).max(dim=-1).indices
            return rounded(rounded(z) @ rounded(codes).t()).max(dim=-1).indices

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z: (..., D) -> codes (..., D) that pass gradients, indices, commitment."""
        unit = F.normalize(z.float(), dim=-1)
        flat = unit.detach().flatten(0, -2)
        if self.training and self.updates < self.warmup:
            self._candidates = flat
            return unit, flat.new_zeros(z.shape[:-1], dtype=torch.long), unit.new_zeros(())
        indices = self.nearest(flat)
        codes = self.codes[indices].view_as(unit)
        if self.training:
            self._collect(flat, indices)
        commitment = (unit - codes).square().sum(-1).mean()
        return unit + (codes - unit).detach(), indices.view(z.shape[:-1]), commitment

    def lookup(self, indices: Tensor) -> Tensor:
        """indices: (...) -> codes (..., D)."""
        return self.codes[indices]

    @torch.no_grad()
    def _collect(self, flat: Tensor, indices: Tensor) -> None:
        counts = torch.bincount(indices, minlength=self.size).float()
        sums = torch.zeros_like(self.codes).index_add_(0, indices, flat)
        if self._counts is None or self._sums is None:
            self._counts, self._sums = counts, sums
        else:
            self._counts, self._sums = self._counts + counts, self._sums + sums
        self._candidates = flat

    @torch.no_grad()
    def update(self, reduce) -> int:
        """Move the codes after an optimiser step; `reduce` sums a tensor over the processes.

        Returns how many codes were revived.
        """
        self.updates += 1
        if self._counts is None or self._sums is None:
            if self.updates == self.warmup:
                self.share.zero_()
                self._revive(reduce)
            self._clear()
            return 0
        counts, sums = reduce(self._counts), reduce(self._sums)
        fair = counts.sum() / self.size
        self.share.lerp_(counts / fair, 1 - self.decay)
        used = counts > 0
        means = F.normalize(sums[used], dim=-1)
        # A code's step shrinks with its traffic in this batch, so that rare codes do not jitter.
        weight = 1 - self.decay ** counts[used].clamp(max=20).unsqueeze(-1)
        self.codes[used] = F.normalize(torch.lerp(self.codes[used], means, weight), dim=-1)
        revived = self._revive(reduce)
        self._clear()
        return revived

    def _revive(self, reduce) -> int:
        if self._candidates is None:
            return 0
        dead = torch.nonzero(self.share < self.revive_below).flatten()
        if not len(dead):
            return 0
        picks = torch.randint(len(self._candidates), (len(dead),), device=self.codes.device)
        # Every process proposes vectors; their mean direction is the same on all of them.
        self.codes[dead] = F.normalize(reduce(self._candidates[picks]), dim=-1)
        self.share[dead] = 1.0
        return len(dead)


def rounded(x: Tensor) -> Tensor:
    """float32 to the nearest number of bfloat16, by sums and products alone: an export keeps it."""
    scaled = SPLIT * x
    return scaled - (scaled - x)
