"""NUWA-Infinity's transformer over one patch, which sees what is kept of the patches around it.

Section 3.3 of 2207.09814: pre-norm layers with LayerScale and GEGLU; a patch's codes are causal,
open with a start token, and see all of the context; the text is seen by cross-attention. Where a
patch of the context lies is told by what is added to its keys.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.attention import attend
from .config import SYMBOLS, Config
from .directions import centre
from .local import DIRECTIONS

HIDDEN = -30_000.0  # added to the score of what is not to be seen; half precision holds it
NONE = -1  # in place of an offset: there is no such patch


class Attention(nn.Module):
    """Self-attention over the patch and its context, whose keys know how far away they are."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, width = config.heads, config.width
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        if config.positions == "heads":
            self.offsets = nn.Parameter(torch.empty(config.offsets, config.heads))
            nn.init.normal_(self.offsets, std=0.02)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, T, C) -> queries, keys, values, each (B, H, T, D)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return in_heads(q, self.heads), in_heads(k, self.heads), in_heads(v, self.heads)

    def remembered(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised states of patches (B, P, M, C) -> their keys and values (B, H, P, M, D)."""
        width = kept.shape[-1]
        found = F.linear(kept.flatten(1, 2), self.qkv.weight[width:])
        k, v = (in_heads(x, self.heads) for x in found.chunk(2, dim=-1))
        return k.unflatten(2, kept.shape[1:3]), v.unflatten(2, kept.shape[1:3])


class CrossAttention(nn.Module):
    """Attention to the text."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, width = config.heads, config.width
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)

    def remembered(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Text (B, S, C) -> its keys and values (B, H, S, D)."""
        k, v = self.kv(text).chunk(2, dim=-1)
        return in_heads(k, self.heads), in_heads(v, self.heads)

    def forward(self, x: Tensor, text: tuple[Tensor, Tensor], padding: Tensor) -> Tensor:
        """x: (B, T, C), text: keys and values, padding: (B, S) added to scores -> (B, T, C)."""
        q = in_heads(self.q(x), self.heads)
        return self.out(attend(q, *text, padding[:, None, None]))


class FeedForward(nn.Module):
    """GEGLU (2002.05202)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.expansion * config.width
        self.up = nn.Linear(config.width, 2 * inner)
        self.down = nn.Linear(inner, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, C) -> same."""
        value, gate = self.up(x).chunk(2, dim=-1)
        return self.down(value * F.gelu(gate))


class Layer(nn.Module):
    """x += s1 self(N1 x, context); x += s2 cross(N2 x, text); x += s3 feed-forward(N3 x)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, scale = config.width, _first_scale(config.layers)
        self.norm1, self.scale1 = nn.LayerNorm(width), nn.Parameter(torch.full((width,), scale))
        self.attention = Attention(config)
        self.cross = None
        if config.text_length:
            self.norm2, self.scale2 = nn.LayerNorm(width), nn.Parameter(torch.full((width,), scale))
            self.cross = CrossAttention(config)
        self.norm3, self.scale3 = nn.LayerNorm(width), nn.Parameter(torch.full((width,), scale))
        self.feed = FeedForward(config)

    def finish(
        self, x: Tensor, attended: Tensor, text: tuple[Tensor, Tensor] | None, padding: Tensor
    ) -> Tensor:
        """x and what self-attention gave, (B, T, C) -> what leaves the layer. text: its keys and
        values."""
        x = x + self.scale1 * self.attention.out(attended)
        if self.cross is not None and text is not None:
            x = x + self.scale2 * self.cross(self.norm2(x), text, padding)
        return x + self.scale3 * self.feed(self.norm3(x))

    def forward(
        self,
        x: Tensor,
        kept: Tensor,
        positions: tuple[Tensor, Tensor] | None,
        seen: Tensor,
        text: Tensor | None,
        padding: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """x: (B, T, C), the start token and the patch's codes; kept: (B, P, M, C); positions: what
        is added to the keys of the context (B, P, H, D) and of the patch itself (H, D), if anything
        is; seen: (B, 1, T, P M + T) added to scores; text: (B, S, C) -> x, and what is to be kept
        of it, (B, M, C)."""
        normed = self.norm1(x)
        q, k, v = self.attention.project(normed)
        around, values = self.attention.remembered(kept)
        if positions is not None:
            around = around + positions[0].transpose(1, 2).unsqueeze(3)
            k = k + positions[1].unsqueeze(1)
        k = torch.cat([around.flatten(2, 3), k], dim=2)
        v = torch.cat([values.flatten(2, 3), v], dim=2)
        told = self.remembered(text)
        return self.finish(x, attend(q, k, v, seen), told, padding), normed[:, 1:].detach()

    def remembered(self, text: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """Text (B, S, C) -> its keys and values (B, H, S, D); None where the layer reads none."""
        return None if self.cross is None or text is None else self.cross.remembered(text)


class Transformer(nn.Module):
    """Codes of a patch to the scores of its codes, given the patches around it and a text."""

    def __init__(self, config: Config, words: int) -> None:
        """words: of the reader's vocabulary; 0 where a published encoder reads the captions."""
        super().__init__()
        self.config, width = config, config.width
        if config.text_length and config.encoder:
            self.text = nn.Linear(config.hidden, width)
        elif config.text_length:
            self.text = nn.Embedding(words + len(SYMBOLS), width)
        self.codes = nn.Linear(config.vqgan.code_dim, width)
        if config.local:  # one number more says that there is no code
            numbers = DIRECTIONS * (config.vqgan.code_dim + 1)
            self.around = nn.Linear(numbers, width, bias=False)
        self.start = nn.Parameter(torch.randn(width))
        self.rows = nn.Parameter(torch.randn(config.patch, width))
        self.columns = nn.Parameter(torch.randn(config.patch, width))
        if config.positions == "vector":
            self.offsets = nn.Parameter(torch.empty(config.offsets, width))
            nn.init.normal_(self.offsets, std=0.02)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.codes)

    @property
    def blocks(self) -> list[Layer]:
        """The layers, bottom up."""
        return cast(list[Layer], list(self.layers))

    @property
    def places(self) -> Tensor:
        """(1 + M, C): what tells the start token, then each code of a patch, where it is."""
        inside = self.rows[:, None] + self.columns
        return torch.cat([torch.zeros_like(self.start)[None], inside.flatten(0, 1)])

    def table(self, codebook: Tensor) -> Tensor:
        """codebook: (K, code_dim) -> what the layers read for each code, then for the start token,
        (K + 1, C)."""
        return torch.cat([self.codes(codebook), self.start[None]])

    def beside(self, codebook: Tensor, around: Tensor) -> Tensor:
        """codebook: (K, code_dim); around: (B, T, DIRECTIONS), K where there is no code -> what it
        adds to the codes (B, T, C)."""
        known = F.pad(codebook, (0, 1))
        absent = F.pad(torch.zeros_like(codebook[:1]), (0, 1), value=1.0)
        return self.around(torch.cat([known, absent])[around].flatten(-2))

    def read(self, text: Tensor) -> Tensor:
        """Rows of the table of words (B, S), or hidden states (B, S, hidden) -> (B, S, C)."""
        return self.text(text)

    def directions(self, layer: Layer) -> Tensor | None:
        """(offsets, H, D): what each offset adds to the keys in that layer; None: nothing."""
        heads, head = self.config.heads, self.config.width // self.config.heads
        if self.config.positions == "vector":
            return self.offsets.unflatten(1, (heads, head))
        if self.config.positions == "heads":
            return layer.attention.offsets[:, :, None].expand(-1, -1, head)
        return None

    def forward(
        self,
        codes: Tensor,
        codebook: Tensor,
        kept: Tensor,
        offsets: Tensor,
        text: Tensor | None,
        padding: Tensor,
        around: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """A whole patch, as in training. codes: (B, M); codebook: (K, code_dim); kept: (L, B, P, M,
        C) of the P patches of each sample's context; offsets: (B, P), where they are, NONE for one
        that is not there; text: (B, S, C) from `read`, None for a model without; padding: (B, S), 0
        or HIDDEN; around: (B, M, DIRECTIONS) of a model that is told of them -> scores (B, M, K)
        of the codes, and what is to be kept of the patch, (L, B, M, C)."""
        first = self.start.expand(len(codes), 1, -1)
        x = torch.cat([first, self.codes(codebook[codes])], dim=1) + self.places
        if around is not None:  # each is told of what is around the code that it predicts
            around = F.pad(around, (0, 0, 0, 1), value=self.config.codes)
            x = x + self.beside(codebook, around)
        x, states = self.through(x, kept, offsets, text, padding)
        return self.head(self.norm(x[:, :-1])), states

    def through(
        self,
        x: Tensor,
        kept: Tensor,
        offsets: Tensor,
        text: Tensor | None,
        padding: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The layers alone: x (B, T, C) -> same, and what is to be kept, (L, B, T - 1, C). The rest
        as `forward`."""
        seen = _visible(offsets, kept.shape[3], x)
        states = []
        for layer, context in zip(self.blocks, kept, strict=True):
            table = self.directions(layer)
            middle = centre(self.config.extents)
            added = None if table is None else (table[offsets.clamp(min=0)], table[middle])
            x, state = layer(x, context, added, seen, text, padding)
            states.append(state)
        return x, torch.stack(states)


def _visible(offsets: Tensor, tokens: int, x: Tensor) -> Tensor:
    """offsets: (B, P) -> what is added to scores, (B, 1, T, P M + T)."""
    length = x.shape[1]
    around = (offsets == NONE).repeat_interleave(tokens, dim=1)[:, None, None]
    own = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
    parts = (around.expand(-1, -1, length, -1), own.expand(len(offsets), 1, -1, -1))
    return torch.zeros((), dtype=x.dtype, device=x.device).masked_fill(
        torch.cat(parts, dim=-1), HIDDEN
    )


def in_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, C) -> (B, H, T, D)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _first_scale(layers: int) -> float:
    """What LayerScale starts from (2103.17239, section 2)."""
    return 0.1 if layers <= 18 else 1e-5 if layers <= 24 else 1e-6
