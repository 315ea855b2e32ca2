"""Two perceptrons for pictures of 8 x 8 pixels."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 8
PIXELS = 3 * SIDE**2
LATENT = 4


class Generator(nn.Module):
    """z (B, LATENT) -> pictures (B, 3, 8, 8) in -1 ... 1; its hidden layer is divided by a running
    magnitude, a buffer."""

    magnitude: Tensor

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.latent = LATENT
        self.first, self.last = nn.Linear(LATENT, width), nn.Linear(width, PIXELS)
        self.register_buffer("magnitude", torch.ones(()))
        self.squares: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        """z: (B, LATENT) -> (B, 3, 8, 8)."""
        hidden = F.leaky_relu(self.first(z), 0.2)
        if self.training:
            self.squares.append(hidden.detach().float().square().mean())
        return self.last(hidden / self.magnitude).tanh().unflatten(1, (3, SIDE, SIDE))

    def update(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """The magnitude follows what the last step has shown all processes."""
        own = torch.stack(self.squares).cpu()
        squares, count = reduce(torch.stack([own.sum(), torch.tensor(len(own))]))
        self.magnitude.copy_(torch.lerp(self.magnitude, (squares / count).sqrt(), 0.1))
        self.squares.clear()


class Discriminator(nn.Module):
    """Pictures (B, 3, 8, 8) -> logits (B,), positive for real ones."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(PIXELS, width), nn.Linear(width, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures: (B, 3, 8, 8) -> (B,)."""
        return self.last(F.leaky_relu(self.first(pictures.flatten(1)), 0.2)).squeeze(1)
