"""The text-to-image transformer of CogView2, which is the frozen part of CogVideo too.

Sandwich layer norms, learned absolute positions, one embedding table for image codes, symbols and
words, tied to the scores (2105.13290, section 2; 2204.14217).
"""

from typing import Any, cast

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class Attention(nn.Module):
    """The projections of one attention; the attending itself is `attend`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)

    def heads(self, x: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, T, C) -> queries, keys, values, each (B, heads, T, C / heads)."""
        q, k, v = rearrange(self.qkv(x), "b t (three h d) -> three b h t d", three=3, h=heads)
        return q, k, v


class Layer(nn.Module):
    """One sandwich-norm layer: x += N3(attention(N1 x)); x += N4(mlp(N2 x)) (CogView, eq. 5)."""

    def __init__(self, width: int, residual_gain: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3, self.norm4 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        for norm in (self.norm3, self.norm4):
            nn.init.constant_(norm.weight, residual_gain)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add the attention's output and the MLP to x. All (B, T, C)."""
        x = x + self.norm3(attended)
        hidden = F.gelu(self.up(self.norm2(x)), approximate="tanh")
        return x + self.norm4(self.down(hidden))


class Backbone(nn.Module):
    """The text-to-image transformer.

    config: sizes, of `Rows` too: width, layers, heads, positions, image_position, text_positions.
    """

    def __init__(self, config: Any, words: int) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.rows(words), config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        gain = (2 * config.layers) ** -0.5
        self.layers = nn.ModuleList(Layer(config.width, gain) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        initialise(self)

    @property
    def blocks(self) -> list[Layer]:
        """The layers, bottom up."""
        return cast(list[Layer], list(self.layers))

    def read(self, text: Tensor, seen: Tensor) -> Tensor:
        """text, seen: (B, S), with 1 where a token is no padding -> their states (B, S, C)."""
        if self.config.text_positions == "word":
            return self.tokens(text) + self.positions((seen.long().cumsum(-1) - 1).clamp(min=0))
        return self.tokens(text) + self.positions.weight[: text.shape[1]]

    def logits(self, x: Tensor) -> Tensor:
        """Final states (B, T, C) -> scores of the image codes (B, T, codes); tied embedding."""
        return F.linear(self.norm(x), self.tokens.weight[: self.config.codes])


def initialise(module: nn.Module) -> None:
    """Matrices and embeddings ~ N(0, 0.02), biases zero."""
    for child in module.modules():
        if isinstance(child, nn.Linear | nn.Embedding):
            nn.init.normal_(child.weight, std=0.02)
        if isinstance(child, nn.Linear):
            nn.init.zeros_(child.bias)
