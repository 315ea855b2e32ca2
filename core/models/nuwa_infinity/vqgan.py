"""NUWA-Infinity's tokenizers: VQGAN for pictures, and PG-VQGAN, which sees the frame before.

Section 3.3.2 of 2207.09814. PG-VQGAN is the VQGAN with one encoder more: the frame before goes
through as many levels as the decoder has, and each level's features are added to the decoder's.
So both have the same codes, and without a frame before the one is the other. Ours have neither
normalisation nor attention: each pixel hangs on codes nearby alone, and endless pictures can be
decoded part by part without seams. Pixels are in [0, 1].
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ..layers.codebook import Codebook
from ..layers.pyramid import Decoder, Encoder, reach, reach_of_levels
from .config import VqganConfig

PART = 32  # codes along a side of what is encoded or decoded at once, beside its margins


class Guide(nn.Module):
    """The frame before, as what is added to the decoder's features. It begins at nothing."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config.guide_widths, config.encoder_blocks, None)
        pairs = zip(config.guide_widths, config.decoder_widths, strict=True)
        self.into = nn.ModuleList(nn.Conv2d(width, out, 1) for width, out in pairs)
        for layer in self.into:
            nn.init.zeros_(cast(nn.Conv2d, layer).weight)
            nn.init.zeros_(cast(Tensor, cast(nn.Conv2d, layer).bias))

    def forward(self, before: Tensor) -> list[Tensor]:
        """before: (B, 3, H, W) -> for each level, the coarsest first, (B, C, h, w)."""
        levels = self.encoder.levels(before - 0.5)
        return [layer(x) for layer, x in zip(self.into, levels, strict=True)]


class Vqgan(nn.Module):
    """Pictures to codes and back; frames with the help of the one before."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder_widths, config.encoder_blocks, config.code_dim)
        self.codebook = Codebook(config.codebook_size, config.code_dim)
        self.decoder = Decoder(config.decoder_widths, config.decoder_blocks, config.code_dim)
        self.guide = Guide(config)

    @property
    def last(self) -> nn.Parameter:
        """The weights that the decoder ends with, where two losses' gradients are compared."""
        return cast(nn.Parameter, self.decoder.layers[-2].weight)

    @property
    def margin(self) -> int:
        """Codes around a part that its pixels hang on, on each side."""
        return reach(self.config.decoder_blocks)

    @property
    def guided_margin(self) -> int:
        """The same where a frame before is seen: as many more of that frame."""
        return self.margin + reach_of_levels(self.config.encoder_blocks)

    def encode(self, pictures: Tensor) -> Tensor:
        """pictures: (B, 3, H, W), sides multiples of a cell -> codes (B, h, w)."""
        z = self.encoder(pictures - 0.5).permute(0, 2, 3, 1)
        return self.codebook.nearest(z.flatten(0, -2)).view(z.shape[:-1])

    def vectors(self, codes: Tensor) -> Tensor:
        """codes: (B, h, w) -> (B, D, h, w)."""
        return self.codebook.lookup(codes).permute(0, 3, 1, 2)

    def decode(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """codes: (B, h, w); before: the frame before, (B, 3, H, W), or None -> (B, 3, H, W)."""
        return self.drawn(self.vectors(codes), before).clamp(0, 1)

    def drawn(self, vectors: Tensor, before: Tensor | None = None) -> Tensor:
        """vectors: (B, D, h, w), before as in `decode` -> (B, 3, H, W), unclamped."""
        return self.decoder(vectors, [] if before is None else self.guide(before))

    def forward(self, pictures: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """pictures, before: (B, 3, H, W) -> what comes back, unclamped, and the commitment."""
        z = self.encoder(pictures - 0.5).permute(0, 2, 3, 1)
        codes, _, commitment = self.codebook(z)
        return self.drawn(codes.permute(0, 3, 1, 2), before), commitment
