"""The backbone's and the tokenizer's pure tensor functions: text, new codes, pixels and back.

The caches of keys and values are plain inputs and outputs: a step takes those of the tokens
before it, one tensor a layer, so that no engine has to cut a stack apart, and returns those of
its own tokens.
Shapes: B batch, S text tokens, Q new tokens, P cached ones, L layers, H heads, D channels of a
head, N tokens of a frame.
"""

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from .attention import attend_cached, fixed_linear
from .backbone import Attention, Backbone
from .tokenizer import ImageTokenizer

HIDDEN = (
    -30_000.0
)  # what padding adds to a score: its exponential is 0, and half precision holds it


class Beside(Protocol):
    """A second attention for every layer."""

    def at(self, layer: int) -> Attention: ...


class TextGraph(nn.Module):
    """Text through the backbone; keys and values of it for the backbone and for each channel."""

    def __init__(self, backbone: Backbone, channels: Sequence[Beside]) -> None:
        super().__init__()
        self.backbone, self.channels = backbone, nn.ModuleList(cast(list[nn.Module], channels))

    def forward(self, text: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        """text, seen: (B, S) -> padding (B, S), then (L, B, H, S, D) keys and values of each."""
        backbone, heads = self.backbone, self.backbone.config.heads
        x = backbone.read(text, seen)
        padding = (1.0 - seen.to(x.dtype)) * HIDDEN
        caches: list[list[Tensor]] = [[] for _ in range(2 + 2 * len(self.channels))]
        for index, layer in enumerate(backbone.blocks):
            normed = layer.norm1(x)
            q, k, v = layer.attention.heads(normed, heads)
            found = [k, v]
            for channel in self.channels:
                found += cast(Beside, channel).at(index).heads(normed, heads)[1:]
            for cache, tensor in zip(caches, found, strict=True):
                cache.append(tensor)
            q = q * q.shape[-1] ** -0.5
            scores = q @ k.transpose(-1, -2) + padding[:, None, None]
            weights = scores.softmax(-1, dtype=torch.float32).to(scores.dtype)
            attended = (weights @ v).transpose(1, 2).flatten(2)
            x = layer.finish(x, layer.attention.dense(attended))
        return padding, *(torch.stack(cache) for cache in caches)


class FusedAttention(nn.Module):
    """The attentions of a layer with joined projections.

    Their mix, alpha * dense_base(x) + (1 - alpha) * dense_new(y), is one linear map of [x, y],
    and the scale of the queries is in their weights.
    """

    def __init__(self, attentions: list[Attention], shares: list[Tensor], heads: int) -> None:
        """shares: what each attention contributes to each hidden unit, (C,)."""
        super().__init__()
        self.heads, width = heads, len(shares[0])
        scale = torch.ones(3 * width)
        scale[:width] = (width // heads) ** -0.5
        self.qkv = fixed_linear(
            torch.cat([scale[:, None] * a.qkv.weight for a in attentions]),
            torch.cat([scale * a.qkv.bias for a in attentions]),
        )
        pairs = list(zip(attentions, shares, strict=True))
        self.dense = fixed_linear(
            torch.cat([share[:, None] * a.dense.weight for a, share in pairs], dim=1),
            torch.stack([share * a.dense.bias for a, share in pairs]).sum(0),
        )

    def project(self, x: Tensor, batch: int) -> tuple[Tensor, ...]:
        """x: (B Q, C) -> scaled queries, keys, values of each attention, (1, B, H, Q, D)."""
        parts = self.qkv.out_features // self.dense.out_features
        heads = self.qkv(x).view(batch, -1, parts, self.heads, x.shape[-1] // self.heads)
        return heads.permute(2, 0, 3, 1, 4).split(1)


def join(bias: Tensor, own: Tensor) -> Tensor:
    """bias: (B, Q, P) over the past, own: (Q, Q) over the new tokens -> (B, 1, Q, P + Q)."""
    return torch.cat([bias, own.expand(bias.shape[0], -1, -1)], dim=-1).unsqueeze(1)


class ImageGraph(nn.Module):
    """New tokens of one frame through the backbone alone."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, heads = backbone, backbone.config.heads
        whole = torch.ones(backbone.config.width)
        self.attention = nn.ModuleList(
            FusedAttention([layer.attention], [whole], heads) for layer in backbone.blocks
        )

    def forward(
        self,
        tokens: Tensor,
        places: Tensor,
        bias: Tensor,
        own: Tensor,
        k: list[Tensor],
        v: list[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """tokens: (B, Q), places: (Q,) in the frame, bias: (B, Q, P) over the cached tokens,
        own: (Q, Q) over the new ones, k, v: L times (B, H, P, D) -> logits (B, Q, codes), new k
        and v (L, B, H, Q, D)."""
        backbone = self.backbone
        x = backbone.tokens(tokens) + backbone.positions(places + backbone.config.image_position)
        x, keys, values = self.through(x, join(bias, own), k, v)
        return codes_of(backbone, x, tokens.shape[0]), keys, values

    def through(
        self, x: Tensor, mask: Tensor, k: list[Tensor], v: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, Q, C), mask: (B, 1, Q, P + Q) -> final states (B Q, C), new k and v."""
        batch, x = x.shape[0], x.flatten(0, 1)
        keys, values = [], []
        for index, layer in enumerate(self.backbone.blocks):
            attention = cast(FusedAttention, self.attention[index])
            q, kn, vn = attention.project(layer.norm1(x), batch)
            x = layer.finish(
                x, attention.dense(attend_cached(q, (k[index], v[index]), (kn, vn), mask))
            )
            keys.append(kn)
            values.append(vn)
        return x, torch.cat(keys), torch.cat(values)


def codes_of(backbone: Backbone, x: Tensor, batch: int) -> Tensor:
    """(B Q, C) -> scores (B, Q, codes)."""
    return backbone.logits(x).view(batch, -1, backbone.config.codes)


class DecodeGraph(nn.Module):
    """Codes to pixels."""

    def __init__(self, tokenizer: ImageTokenizer, grid: int) -> None:
        super().__init__()
        self.tokenizer, self.grid = tokenizer, grid

    def forward(self, indices: Tensor) -> tuple[Tensor]:
        """indices: (B, N) -> pixels (B, 3, 8 grid, 8 grid) in [0, 1]."""
        return (self.tokenizer.decode(indices, self.grid),)


class EncodeGraph(nn.Module):
    """Pixels to codes."""

    def __init__(self, tokenizer: ImageTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        """frames: (B, 3, H, W) in [0, 1] -> indices (B, N)."""
        return (self.tokenizer.encode(frames),)
