"""CogVideo's image tokenizer: a frame becomes a grid of codes, eight times smaller each way.

A VQ-VAE as in CogView2 (2204.14217, section 3.1), convolutional, with the codes on the unit
sphere. Pixels are in [0, 1]. Residual blocks carry no normalisation: their last convolution
starts at zero, so that training is stable and every operation is a plain convolution.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UsageError
from ..fields import Checked, size
from ..layers.codebook import Codebook


@dataclass(frozen=True)
class TokenizerConfig(Checked):
    """Sizes of the image tokenizer; level k of `widths` works at 1/8, 1/4, 1/2 of the frame."""

    codebook_size: int = size(4096, most=1 << 20)
    code_dim: int = size(32)
    encoder_widths: tuple[int, int, int] = size((128, 64, 32))
    encoder_blocks: tuple[int, int, int] = size((2, 1, 1), most=1024, least=0)
    decoder_widths: tuple[int, int, int] = size((160, 128, 48))
    decoder_blocks: tuple[int, int, int] = size((3, 2, 2), most=1024, least=0)
    clusters: int = size(64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters > self.codebook_size:
            raise UsageError(
                f"tokenizer.clusters ({self.clusters}) exceeds codebook_size ({self.codebook_size})"
            )


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
    """Pixels to code vectors; each halving is a space-to-depth and a convolution."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        (deep, middle, shallow), blocks = config.encoder_widths, config.encoder_blocks
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, shallow, 3, padding=1),
            *_blocks(shallow, blocks[2]),
            nn.Conv2d(shallow, middle, 4, stride=2, padding=1),
            *_blocks(middle, blocks[1]),
            nn.Conv2d(middle, deep, 4, stride=2, padding=1),
            *_blocks(deep, blocks[0]),
            nn.ReLU(),
            nn.Conv2d(deep, config.code_dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) -> (B, D, H/8, W/8)."""
        return self.layers(x)


class Decoder(nn.Module):
    """Code vectors to pixels; each doubling is a convolution and a depth-to-space."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        (deep, middle, shallow), blocks = config.decoder_widths, config.decoder_blocks
        self.layers = nn.Sequential(
            nn.Conv2d(config.code_dim, deep, 3, padding=1),
            *_blocks(deep, blocks[0]),
            nn.Conv2d(deep, 4 * middle, 1),
            nn.PixelShuffle(2),
            *_blocks(middle, blocks[1]),
            nn.Conv2d(middle, 4 * shallow, 1),
            nn.PixelShuffle(2),
            *_blocks(shallow, blocks[2]),
            nn.ReLU(),
            nn.Conv2d(shallow, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, z: Tensor) -> Tensor:
        """z: (B, D, h, w) -> (B, 3, 8h, 8w), unclamped."""
        return self.layers(z) + 0.5


class ImageTokenizer(nn.Module):
    """Frames to code indices and back."""

    clusters: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.codebook = Codebook(config.codebook_size, config.code_dim)
        self.decoder = Decoder(config)
        # Which cluster each code belongs to, for two-level sampling (see clustering.py).
        self.register_buffer("clusters", torch.arange(config.codebook_size) % config.clusters)

    def encode(self, frames: Tensor) -> Tensor:
        """frames: (B, 3, H, W) in [0, 1] -> indices (B, H/8 * W/8), row after row."""
        z = self.encoder(frames - 0.5).permute(0, 2, 3, 1)
        return self.codebook.nearest(z.flatten(0, -2)).view(z.shape[:-1]).flatten(1)

    def vectors(self, indices: Tensor, height: int) -> Tensor:
        """indices: (B, h * w), `height` = h -> code vectors (B, D, h, w)."""
        return self.codebook.lookup(indices).unflatten(1, (height, -1)).permute(0, 3, 1, 2)

    def decode(self, indices: Tensor, height: int) -> Tensor:
        """indices: (B, h * w), `height` = h -> pixels (B, 3, 8h, 8w) in [0, 1]."""
        return self.decoder(self.vectors(indices, height)).clamp(0, 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """frames: (B, 3, H, W) in [0, 1] -> reconstruction (unclamped), commitment loss."""
        z = self.encoder(frames - 0.5).permute(0, 2, 3, 1)
        codes, _, commitment = self.codebook(z)
        return self.decoder(codes.permute(0, 3, 1, 2)), commitment
