"""The recognizer's layers: a convolutional trunk for each frame, then convolutions over time.

What never changes within a clip (actor, scene) is read from the mean over its frames, what
happens in it (action, speed) from the mean and the maximum after the frames have met.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import HEADS, Config


class Trunk(nn.Module):
    """A frame to `width` numbers that still know where things are: 4 x 4 places for 64 pixels."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        shallow, middle, deep = config.trunk
        places = (config.image_size // 16) ** 2
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, shallow, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(shallow, middle, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(middle, deep, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(deep * places, config.width),
            nn.LayerNorm(config.width),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W) in [0, 1] -> (N, width)."""
        return self.layers((x - 0.5) * 4)


class Network(nn.Module):
    """Frames to the logits of each head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.trunk = Trunk(config).to(memory_format=torch.channels_last)  # pyright: ignore
        width = config.width
        self.before = nn.Conv1d(width, width, 3, padding=1)
        self.after = nn.Conv1d(width, width, 3, padding=1)
        inputs = {"actor": width, "scene": width}
        self.heads = nn.ModuleDict(
            {
                head: nn.Linear(inputs.get(head, 2 * width), len(names))
                for head, names in config.classes.items()
            }
        )

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """frames: (B, T, 3, H, W) in [0, 1] -> logits (B, classes) of each head."""
        return self.read(self.features(frames))

    def features(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 3, H, W) in [0, 1] -> (B, 3 width), all that the heads read.

        The mean over the frames; then mean and maximum after the frames have met.
        """
        flat = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = self.trunk(flat).unflatten(0, (-1, frames.shape[1]))
        x = seen.transpose(1, 2)
        x = x + F.relu(self.before(x))
        x = x + F.relu(self.after(x))
        return torch.cat([seen.mean(dim=1), x.mean(dim=2), x.amax(dim=2)], dim=1)

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """features: (B, 3 width) -> logits (B, classes) of each head."""
        width = self.before.in_channels
        still, moving = features[:, :width], features[:, width:]
        inputs = {"actor": still, "scene": still}
        return {head: self.heads[head](inputs.get(head, moving)) for head in HEADS}
