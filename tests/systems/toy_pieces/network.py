"""A recurrent network that guesses the next patch of a picture."""

import torch
from torch import Tensor, nn

PATCH = 48  # numbers in two rows of eight pixels


class Network(nn.Module):
    """What it has read so far and a patch -> the next patch, and what it has read now."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.read, self.guess = nn.GRUCell(PATCH, width), nn.Linear(width, PATCH)

    def forward(self, patch: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """patch: (B, PATCH); state: (B, width), None at the beginning -> (B, PATCH), state."""
        before = torch.zeros(len(patch), self.width, device=patch.device)
        now = self.read(patch, before if state is None else state)
        return self.guess(now), now
