"""NUWA-Infinity as pure tensor functions: text, codes of a patch in its surroundings, pixels.

Keys and values of the context and of the patch's own codes are plain inputs and outputs; whoever
calls a step keeps them (neighbourhood.py). The keys know no positions: what an offset adds to a
key adds its product with the query to the score, so a patch is kept once and seen from anywhere.
Shapes: B batch, S text, Q new codes, P cached patches, M codes of a patch, K = P M + 1 + M keys
with room for the patch itself, L layers, H heads, D channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..graph import Graph, Range, Value
from ..layers.attention import attend_cached, fixed_linear
from .config import SYMBOLS, Config
from .directions import centre
from .local import DIRECTIONS
from .transformer import HIDDEN, Layer, Transformer
from .vqgan import PART, Vqgan


class TextGraph(nn.Module):
    """Text, and its keys and values in every layer."""

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, text: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """text: (B, S), or (B, S, hidden) of a published encoder, seen: (B, S) -> padding (B, S),
        keys and values (L, B, H, S, D)."""
        read = self.transformer.read(text)
        padding = (1.0 - seen.to(read.dtype)) * HIDDEN
        pairs = [layer.remembered(read) for layer in self.transformer.blocks]
        k, v = zip(*(pair for pair in pairs if pair is not None), strict=True)
        return padding, torch.stack(k), torch.stack(v)


class FusedLayer(nn.Module):
    """A layer whose scales are in its weights."""

    directions: Tensor

    def __init__(self, transformer: Transformer, layer: Layer) -> None:
        super().__init__()
        own, width = layer.attention, transformer.config.width
        self.layer, self.heads = layer, own.heads
        scale = torch.ones(3 * width)
        scale[:width] = (width // own.heads) ** -0.5
        self.qkv = fixed_linear(scale[:, None] * own.qkv.weight, torch.zeros(3 * width))
        self.out = _scaled(own.out, layer.scale1)
        self.down = _scaled(layer.feed.down, layer.scale3)
        if layer.cross is not None:
            cross = layer.cross
            self.q = fixed_linear(scale[:width, None] * cross.q.weight, torch.zeros(width))
            self.told = _scaled(cross.out, layer.scale2)
        table = transformer.directions(layer)
        self.positioned = table is not None
        if table is not None:  # (H, D, offsets)
            self.register_buffer(
                "directions", table.detach().permute(1, 2, 0).contiguous(), persistent=False
            )
        self.middle = centre(transformer.config.extents)

    def forward(
        self,
        x: Tensor,
        batch: int,
        past: tuple[Tensor, Tensor],
        near: Tensor,
        mask: Tensor,
        text: tuple[Tensor, Tensor] | None,
        padding: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B Q, C), past: (B, H, K, D), near: (K,), mask: (Q, K + Q) -> x, and the new keys and
        values (1, B, H, Q, D)."""
        q, k, v = self._heads(self.qkv(self.layer.norm1(x)), batch, 3)
        if self.positioned:
            scores = q @ self.directions
            own = scores[..., self.middle : self.middle + 1].expand(-1, -1, -1, -1, q.shape[3])
            mask = mask + torch.cat([scores.index_select(-1, near), own], dim=-1)
        x = x + self.out(attend_cached(q, past, (k, v), mask))
        if text is not None and padding is not None:
            (asked,) = self._heads(self.q(self.layer.norm2(x)), batch, 1)
            scores = asked @ text[0].transpose(-1, -2) + padding[:, None, None]
            seen = scores.softmax(-1, dtype=torch.float32).to(scores.dtype) @ text[1]
            x = x + self.told(seen.transpose(-2, -3).reshape(x.shape))
        value, gate = self.layer.feed.up(self.layer.norm3(x)).chunk(2, dim=-1)
        return x + self.down(value * nn.functional.gelu(gate)), k, v

    def _heads(self, x: Tensor, batch: int, parts: int) -> tuple[Tensor, ...]:
        """(B Q, parts C) -> parts times (1, B, H, Q, D)."""
        width = x.shape[-1] // parts // self.heads
        heads = x.view(batch, -1, parts, self.heads, width)
        return heads.permute(2, 0, 3, 1, 4).split(1)


def _scaled(linear: nn.Linear, scale: Tensor) -> nn.Linear:
    return fixed_linear(scale[:, None] * linear.weight, scale * linear.bias)


class StepGraph(nn.Module):
    """New codes of a patch, one when it is drawn, or all of one that is given."""

    table: Tensor
    places: Tensor
    codebook: Tensor

    def __init__(self, transformer: Transformer, codebook: Tensor) -> None:
        super().__init__()
        self.transformer, self.count = transformer, transformer.config.codes
        self.layers = nn.ModuleList(FusedLayer(transformer, each) for each in transformer.blocks)
        self.register_buffer("table", transformer.table(codebook).detach(), persistent=False)
        self.register_buffer("places", transformer.places.detach(), persistent=False)
        self.register_buffer("codebook", codebook.detach(), persistent=False)

    def forward(
        self,
        codes: Tensor,
        places: Tensor,
        near: Tensor,
        bias: Tensor,
        own: Tensor,
        k: list[Tensor],
        v: list[Tensor],
        padding: Tensor | None = None,
        text_k: list[Tensor] | None = None,
        text_v: list[Tensor] | None = None,
        around: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """codes: (B, Q), the number of all codes is the start token; places: (Q,), 0 the start
        token's, then 1 + that in the patch; near: (K,) offsets of the cached keys; bias: (Q, K)
        over them, own: (Q, Q) over the new ones; k, v: L times (B, H, K, D); padding: (B, S) and
        text_k, text_v: L times (B, H, S, D), of a model that reads; around: (B, Q, DIRECTIONS) of
        one that is told of them -> logits (B, Q, codes), the new k and v (L, B, H, Q, D)."""
        batch, mask = codes.shape[0], torch.cat([bias, own], dim=-1)
        x = self.table[codes] + self.places[places]
        if around is not None:
            x = x + self.transformer.beside(self.codebook, around)
        x = x.flatten(0, 1)
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            told = None if text_k is None or text_v is None else (text_k[index], text_v[index])
            x, kn, vn = layer(x, batch, (k[index], v[index]), near, mask, told, padding)
            keys.append(kn)
            values.append(vn)
        logits = self.transformer.head(self.transformer.norm(x)).view(batch, -1, self.count)
        return logits, torch.cat(keys), torch.cat(values)


class EncodeGraph(nn.Module):
    """Pixels to codes."""

    def __init__(self, vqgan: Vqgan) -> None:
        super().__init__()
        self.vqgan = vqgan

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        """pictures: (B, 3, H, W) in [0, 1] -> codes (B, h, w)."""
        return (self.vqgan.encode(pictures),)


class DecodeGraph(nn.Module):
    """Codes to pixels, with the help of the frame before where one is given."""

    def __init__(self, vqgan: Vqgan) -> None:
        super().__init__()
        self.vqgan = vqgan

    def forward(self, codes: Tensor, before: Tensor | None = None) -> tuple[Tensor]:
        """codes: (B, h, w), before: (B, 3, H, W) -> pixels (B, 3, H, W) in [0, 1]."""
        return (self.vqgan.decode(codes, before),)


@dataclass(frozen=True)
class _Examples:
    """Inputs of given sizes for the graphs of one configuration. rows, columns: of patches."""

    config: Config
    words: int

    def text(self, batch: int) -> dict[str, Value]:
        c, shape = self.config, (batch, self.config.text_length)
        text = torch.randn(*shape, c.hidden)
        if not c.encoder:
            text = torch.randint(self.words + len(SYMBOLS), shape)
        return {"text": text, "seen": torch.ones(shape, dtype=torch.long)}

    def step(self, batch: int, new: int, patches: int) -> dict[str, Value]:
        c = self.config
        keys, length = (patches + 1) * c.tokens + 1, c.text_length
        found: dict[str, Value] = {
            "codes": torch.randint(c.codes + 1, (batch, new)),
            "places": torch.randint(c.tokens + 1, (new,)),
            "near": torch.randint(c.offsets, (keys,)),
            "bias": torch.zeros(new, keys),
            "own": torch.full((new, new), HIDDEN).triu(1),
            "k": self._cache(batch, keys),
            "v": self._cache(batch, keys),
        }
        if length:
            found["padding"] = torch.zeros(batch, length)
            found |= {"text_k": self._cache(batch, length), "text_v": self._cache(batch, length)}
        if c.local:
            found["around"] = torch.randint(c.codes + 1, (batch, new, DIRECTIONS))
        return found

    def _cache(self, batch: int, keys: int) -> list[Tensor]:
        c = self.config
        shape = (batch, c.heads, keys, c.width // c.heads)
        return [torch.randn(shape) for _ in range(c.layers)]

    def codes(self, batch: int, rows: int, columns: int) -> dict[str, Value]:
        shape = (batch, rows * self.config.patch, columns * self.config.patch)
        return {"codes": torch.randint(self.config.codes, shape)}

    def pictures(self, batch: int, rows: int, columns: int) -> dict[str, Value]:
        return {"pictures": torch.rand(self._pixels(batch, rows, columns))}

    def guided(self, batch: int, rows: int, columns: int) -> dict[str, Value]:
        before = torch.rand(self._pixels(batch, rows, columns))
        return {**self.codes(batch, rows, columns), "before": before}

    def _pixels(self, batch: int, rows: int, columns: int) -> tuple[int, int, int, int]:
        return batch, 3, rows * self.config.side, columns * self.config.side


def build_graphs(vqgan: Vqgan, transformer: Transformer, words: int) -> dict[str, Graph]:
    """The graphs of a NUWA-Infinity model; "text" where it reads. words: of its vocabulary."""
    config = transformer.config
    examples = _Examples(config, words)
    several = {"batch": Range(1, 2, 16)}
    around = (2 * config.extent_rows + 1) * (2 * config.extent_columns + 1) // 2
    new, patches = Range(1, 1, config.tokens + 1), Range(0, around, max(1, config.offsets - 1))
    longest = -(-(PART + 2 * vqgan.guided_margin) // config.patch)
    side = Range(1, min(3, longest), longest)
    sides = {"batch": Range(1, 1, 4), "rows": side, "columns": side}
    graphs = [
        Graph(
            "step",
            StepGraph(transformer, vqgan.codebook.codes),
            ("logits", "k", "v"),
            examples.step,
            {**several, "new": new, "patches": patches},
        ),
        Graph("encode", EncodeGraph(vqgan), ("codes",), examples.pictures, sides),
        Graph("decode", DecodeGraph(vqgan), ("pixels",), examples.codes, sides),
        Graph("decode_guided", DecodeGraph(vqgan), ("pixels",), examples.guided, sides),
    ]
    if config.text_length:
        text = TextGraph(transformer)
        outputs = ("padding", "text_k", "text_v")
        graphs.insert(0, Graph("text", text, outputs, examples.text, several))
    return {graph.name: graph for graph in graphs}
