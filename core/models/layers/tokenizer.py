"""The image tokenizer of CogView2 and CogVideo: a picture becomes a grid of codes, eight times
smaller each way.

A VQ-VAE as in CogView2 (2204.14217, section 3.1), convolutional, with the codes on the unit
sphere. Pixels are in [0, 1].
"""

import torch
from torch import Tensor, nn

from .codebook import Codebook
from .pyramid import Decoder, Encoder
from .tokenizer_config import TokenizerConfig


class ImageTokenizer(nn.Module):
    """Frames to code indices and back."""

    clusters: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder_widths, config.encoder_blocks, config.code_dim)
        coarse = config.comparison == "bfloat16"
        self.codebook = Codebook(config.codebook_size, config.code_dim, coarse=coarse)
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
