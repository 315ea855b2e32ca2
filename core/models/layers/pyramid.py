"""Convolutions between pictures and grids of vectors, for tokenizers.

Residual blocks carry no normalisation: their last convolution starts at zero, so that training is
stable, every operation is a plain convolution, and what comes out hangs on a neighbourhood alone:
a picture of any size can be done part by part. Widths and blocks are listed from the level of the
vectors to that of half the picture.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> same."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


def _blocks(width: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(width) for _ in range(count)]


class Encoder(nn.Module):
    """Pixels to vectors; each halving is a space-to-depth and a convolution. ends: the places in
    `layers` behind each level, the finest first."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], dim: int | None) -> None:
        """dim: of the vectors; None: the coarsest level's features are all that it is for."""
        super().__init__()
        wide, counts = widths[::-1], blocks[::-1]
        layers = [nn.PixelUnshuffle(2), nn.Conv2d(12, wide[0], 3, padding=1)]
        layers += _blocks(wide[0], counts[0])
        self.ends = [len(layers)]
        for finer, width, count in zip(wide, wide[1:], counts[1:], strict=False):
            layers += [nn.Conv2d(finer, width, 4, stride=2, padding=1), *_blocks(width, count)]
            self.ends.append(len(layers))
        if dim is not None:
            layers += [nn.ReLU(), nn.Conv2d(wide[-1], dim, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) -> (B, D, H / 2^levels, W / 2^levels)."""
        return self.layers(x)

    def levels(self, x: Tensor) -> list[Tensor]:
        """x: (B, 3, H, W) -> each level's features, the coarsest first."""
        found = []
        for place, layer in enumerate(self.layers, 1):
            x = layer(x)
            if place in self.ends:
                found.append(x)
        return found[::-1]


class Decoder(nn.Module):
    """Vectors to pixels; each doubling is a convolution and a depth-to-space. starts: the places
    in `layers` where each level's blocks begin, the coarsest first."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(dim, widths[0], 3, padding=1)]
        self.starts = [1]
        for width, finer, count in zip(widths, widths[1:], blocks, strict=False):
            layers += [*_blocks(width, count), nn.Conv2d(width, 4 * finer, 1), nn.PixelShuffle(2)]
            self.starts.append(len(layers))
        layers += _blocks(widths[-1], blocks[-1])
        layers += [nn.ReLU(), nn.Conv2d(widths[-1], 12, 3, padding=1), nn.PixelShuffle(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, added: Sequence[Tensor] = ()) -> Tensor:
        """z: (B, D, h, w); added: to each level's features, like `Encoder.levels`, or nothing
        -> (B, 3, h * 2^levels, w * 2^levels), unclamped."""
        if not added:
            return self.layers(z) + 0.5
        for place, layer in enumerate(self.layers):
            if place in self.starts:
                z = z + added[self.starts.index(place)]
            z = layer(z)
        return z + 0.5


def reach(blocks: Sequence[int]) -> int:
    """Vectors beyond a part of a grid that its pixels hang on through a `Decoder`, on each side."""
    levels = len(blocks)
    halved = [2 * count / 2**level for level, count in enumerate(blocks)]
    return -int(-(1 + sum(halved) + 2.0 ** (1 - levels)) // 1)


def reach_of_levels(blocks: Sequence[int]) -> int:
    """The same for the features of an `Encoder`, from its coarsest vectors to what they see."""
    far, scale = 0.0, 2.0 ** (1 - len(blocks))  # in vectors; of the finest level's features
    for level, count in enumerate(blocks[::-1]):
        far += scale * (2 * count + 1 / 2 + 1 / 2 * (level == 0))
        scale *= 2
    return -int(-far // 1)
