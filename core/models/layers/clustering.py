"""Clusters of codes, for sampling in two levels (CogView2 section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cluster_codes(codes: Tensor, clusters: int, rounds: int = 30) -> Tensor:
    """codes: (K, D) on the unit sphere -> cluster of each (K,), by spherical k-means."""
    pick = torch.linspace(0, len(codes) - 1, clusters, device=codes.device).long()
    centres = codes[pick].clone()
    labels = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
    for _ in range(rounds):
        labels = (codes @ centres.t()).max(dim=-1).indices
        sums = torch.zeros_like(centres).index_add_(0, labels, codes)
        empty = torch.bincount(labels, minlength=clusters) == 0
        centres = torch.where(empty[:, None], centres, F.normalize(sums, dim=-1))
    return labels
