"""The recognizer's layers: a convolutional trunk for each frame, then convolutions over time.

What any frame shows (actor, scene; place, hour) is read from the mean over a clip's frames, what
happens in it (action, speed) from the mean and the maximum after the frames have met. A recognizer
of the first kind alone takes a picture as a clip of one frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MOVING, Config


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
        self.width = width = config.width
        self.moving = config.moving
        if self.moving:
            self.before = nn.Conv1d(width, width, 3, padding=1)
            self.after = nn.Conv1d(width, width, 3, padding=1)
        self.heads = nn.ModuleDict(
            {
                head: nn.Linear(2 * width if head in MOVING else width, len(names))
                for head, names in config.classes.items()
            }
        )

    @property
    def numbers(self) -> int:
        """How many stand for a clip."""
        return 3 * self.width if self.moving else 2 * self.width

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """frames: (B, T, 3, H, W) in [0, 1] -> logits (B, classes) of each head."""
        return self.read(self.features(frames))

    def features(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 3, H, W) in [0, 1] -> (B, numbers), of which the heads read.

        The mean over the frames; then mean and maximum after the frames have met, or, where no
        head reads that, how far the frames are from their mean.
        """
        flat = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = self.trunk(flat).unflatten(0, (-1, frames.shape[1]))
        mean = seen.mean(dim=1)
        if not self.moving:
            apart = (seen - mean[:, None]).abs().mean(dim=1)
            return torch.cat([mean, apart], dim=1)
        x = seen.transpose(1, 2)
        x = x + F.relu(self.before(x))
        x = x + F.relu(self.after(x))
        return torch.cat([mean, x.mean(dim=2), x.amax(dim=2)], dim=1)

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """features: (B, numbers) -> logits (B, classes) of each head."""
        still, moving = features[:, : self.width], features[:, self.width :]
        return {
            head: layer(moving if head in MOVING else still) for head, layer in self.heads.items()
        }
