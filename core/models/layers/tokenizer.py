"""The image tokenizer of CogView2 and CogVideo: a picture becomes a grid of codes, eight times
smaller each way.

A VQ-VAE as in CogView2 (2204.14217, section 3.1), convolutional, with the codes on the unit
sphere. Pixels are in [0, 1].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..fields import Checked, size
from .codebook import Codebook
from .pyramid import Decoder, Encoder


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


class ImageTokenizer(nn.Module):
    """Frames to code indices and back."""

    clusters: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder_widths, config.encoder_blocks, config.code_dim)
        self.codebook = Codebook(config.codebook_size, config.code_dim)
        self.decoder = Decoder(config.decoder_widths, config.decoder_blocks, config.code_dim)
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
