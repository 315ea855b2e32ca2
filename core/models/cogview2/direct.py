"""Direct super-resolution: all fine codes of a picture from its coarse ones, in one pass.

CogView2's second part (2204.14217, section 3.2). Text and coarse codes go through the frozen
backbone. Fine tokens, all <start_of_image>, share its layers but have an attention of their own:
to fine tokens near them and to coarse ones around the one that they lie in. In a small backbone
late layers know little of the code at a place: there, fine tokens begin as the coarse code that
they lie in, too (`direct_input`).
"""

from typing import cast

import torch
from torch import Tensor, nn

from ..layers.backbone import Attention, Backbone, initialise
from .config import SCALE, Config
from .local import HIDDEN, Tiles, attend_parts, gathered, tiles


class DirectSR(nn.Module):
    """What direct super-resolution learns beside a frozen backbone."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        own = config.direct_layers or config.layers
        self.first = config.layers - own  # the layer that fine tokens begin at
        self.attention = nn.ModuleList(Attention(config.width) for _ in range(own))
        self.positions = nn.Embedding(config.fine_length, config.width)
        initialise(self)

    def at(self, layer: int) -> Attention:
        """The fine tokens' attention in a layer of the backbone."""
        return cast(Attention, self.attention[layer - self.first])

    @torch.no_grad()
    def start_from(self, backbone: Backbone) -> None:
        """Begin as the backbone's attention; the picture's positions, repeated in both directions,
        are those of the fine tokens, as published."""
        for index, layer in enumerate(backbone.blocks[self.first :], self.first):
            self.at(index).load_state_dict(layer.attention.state_dict())
        self.positions.weight.copy_(repeated(backbone, self.config))

    def forward(
        self,
        backbone: Backbone,
        text: Tensor,
        seen: Tensor,
        coarse: Tensor,
        near: Tiles | None = None,
    ) -> Tensor:
        """text, seen: (B, S), coarse: (B, N) codes -> scores of the fine codes (B, 9 N, codes), row
        after row. near: what `tiles` gives, where it is at hand."""
        config = self.config
        near = near or tiles(config.grid, config.kernel, config.cross, coarse.device)
        x, fine = self._begin(backbone, text, seen, coarse, near)
        bias = coarse_bias(seen, coarse)
        for index, layer in enumerate(backbone.blocks):
            normed = layer.norm1(x)
            q, k, v = layer.attention.heads(normed, config.heads)
            if index >= self.first:
                fine = layer.finish(fine, self._fine(index, layer.norm1(fine), k, v, near))
            if index + 1 < config.layers:
                scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias.to(q.dtype)
                weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
                attended = (weights @ v).transpose(1, 2).flatten(2)
                x = layer.finish(x, layer.attention.dense(attended))
        return backbone.logits(fine.index_select(1, near.inverse))

    def _begin(
        self, backbone: Backbone, text: Tensor, seen: Tensor, coarse: Tensor, near: Tiles
    ) -> tuple[Tensor, Tensor]:
        """The states of text and coarse codes, and of the fine tokens in the tiles' order."""
        start = self.config.coarse_position
        places = backbone.positions.weight[start : start + coarse.shape[1]]
        x = torch.cat([backbone.read(text, seen), backbone.tokens(coarse) + places], dim=1)
        opening = backbone.tokens.weight[self.config.symbol("<start_of_image>")]
        fine = (opening + self.positions.weight[near.order]).expand(text.shape[0], -1, -1)
        if self.config.direct_input == "coarse":
            fine = fine + backbone.tokens(coarse.index_select(1, near.within))
        return x, fine

    def _fine(self, index: int, normed: Tensor, k: Tensor, v: Tensor, near: Tiles) -> Tensor:
        """The fine tokens' attention: normed (B, 9 N, C); k, v: the base's (B, H, S + N, D)."""
        own, coarse = self.at(index), self.config.frame_length
        q, kf, vf = own.heads(normed, self.config.heads)
        ka, va = (gathered(t[:, :, -coarse:], near.coarse) for t in (k, v))
        kf, vf = (gathered(t, near.fine) for t in (kf, vf))
        parts = [(ka, va, near.coarse.bias), (kf, vf, near.fine.bias)]
        return own.dense(attend_parts(q, parts))


def coarse_bias(seen: Tensor, coarse: Tensor) -> Tensor:
    """seen: (B, S), coarse: (B, N) -> (B, 1, S + N, S + N): padding is hidden from all, the coarse
    codes from the text."""
    texts, codes = seen.shape[1], coarse.shape[1]
    hidden = torch.cat([1 - seen, torch.zeros_like(coarse)], dim=1).to(torch.float32) * HIDDEN
    block = torch.zeros(texts + codes, texts + codes, device=seen.device)
    block[:texts, texts:] = HIDDEN
    return block + hidden[:, None, None]


def repeated(backbone: Backbone, config: Config) -> Tensor:
    """The positions of a picture's codes, as they are predicted, for the large picture: (9 N, C),
    the small picture's again and again, in both directions."""
    start = config.image_position
    small = backbone.positions.weight[start : start + config.frame_length]
    square = small.view(config.grid, config.grid, -1)
    return square.repeat(SCALE, SCALE, 1).flatten(0, 1)
