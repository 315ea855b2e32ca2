"""What a new frame's code finds in its own place of the frames beside it, and may point at.

Most of a clip stands still from one frame to the next, and a code that stays has to be found among
thousands. A pointer (pointer-generator networks, 1704.04368) adds to the score of the code that
lies in the same place of a frame beside, as much as the state says, and tells the state which code
that is. Not published with CogVideo: small models on few cores do not learn to copy otherwise.
"""

import torch
from torch import Tensor, nn

from .masks import NOTHING

SCALE = 8.0  # of what is learnt, so that it moves as fast as scores do


class Pointer(nn.Module):
    """To so many frames beside the one that is drawn; at first it says nothing."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(frames, width))
        self.weigh = nn.Linear(width, frames)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)

    def told(self, tokens: nn.Embedding, beside: Tensor) -> Tensor:
        """beside: (..., frames), codes or NOTHING -> what states (..., C) begin with besides."""
        rows = tokens(beside.clamp(min=0)) * (beside != NOTHING).to(self.gain.dtype)[..., None]
        return SCALE * (rows * self.gain).sum(-2)

    def pointed(self, scores: Tensor, x: Tensor, beside: Tensor) -> Tensor:
        """scores: (..., codes) of normalised states x (..., C), beside: (..., frames) -> scores."""
        weights = (SCALE * self.weigh(x) * (beside != NOTHING).to(x.dtype)).to(scores.dtype)
        if torch.compiler.is_exporting():  # TensorRT has no scatter that adds
            codes = torch.arange(scores.shape[-1], device=scores.device)
            there = (beside[..., None] == codes).to(scores.dtype)
            return scores + (there * weights[..., None]).sum(-2)
        return scores.scatter_add(-1, beside.clamp(min=0), weights)
