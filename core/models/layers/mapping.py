"""Latents to styles."""

import torch
from torch import Tensor, nn

from .equalised import EqualisedLinear, unit

RATE = 0.01  # of a mapping's layers


class Mapping(nn.Module):
    """z, and a class where there are some, to w. w_avg: the mean of w, for truncation."""

    w_avg: Tensor

    def __init__(self, latent: int, layers: int, into: int = 0) -> None:
        """into: numbers of the condition, 0 for none."""
        super().__init__()
        self.latent, self.layers = latent, layers
        if into:
            self.embed = EqualisedLinear(into, latent)
        widths = [2 * latent if into else latent, *[latent] * layers]
        for number in range(layers):
            layer = EqualisedLinear(widths[number], widths[number + 1], rate=RATE, active=True)
            self.add_module(f"fc{number}", layer)
        self.register_buffer("w_avg", torch.zeros(latent))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z: (B, Z), label: (B, classes) -> w (B, Z)."""
        x = unit(z)
        if label is not None:
            x = torch.cat([x, unit(self.embed(label))], dim=1)
        for number in range(self.layers):
            x = self.get_submodule(f"fc{number}")(x)
        return x


def truncated(w: Tensor, mean: Tensor, share: float | Tensor) -> Tensor:
    """w drawn towards the mean: the truncation trick (1912.04958)."""
    return mean + (w - mean) * share
