"""CogView2 as pure tensor functions: text, codes, words, super-resolutions, pixels and back.

Shapes: B batch, S text tokens, Q new tokens, P cached ones, L layers, H heads, D channels of a
head, N coarse and M fine codes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..graph import Graph, Range, Value
from ..layers.backbone import Backbone
from ..layers.backbone_graphs import (
    DecodeGraph,
    EncodeGraph,
    ImageGraph,
    TextGraph,
    join,
)
from .coglm import word_logits
from .config import Config
from .direct import DirectSR
from .iterative import IterativeSR
from .local import Near, Tiles, tiles

PICTURES = {"batch": Range(1, 1, 64)}


class WordsGraph(ImageGraph):
    """New words of a caption through the backbone."""

    def forward(
        self,
        tokens: Tensor,
        places: Tensor,
        bias: Tensor,
        own: Tensor,
        k: list[Tensor],
        v: list[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """tokens: (B, Q), places: (Q,) in the text, bias: (B, Q, P) over the cached tokens, own:
        (Q, Q) over the new ones, k, v: L times (B, H, P, D) -> scores of what follows the codes in
        the table, (B, Q, rows), new k and v (L, B, H, Q, D)."""
        backbone = self.backbone
        x = backbone.tokens(tokens) + backbone.positions(places)
        x, keys, values = self.through(x, join(bias, own), k, v)
        logits = word_logits(backbone, x)
        return logits.view(tokens.shape[0], -1, logits.shape[-1]), keys, values


class _Tiled(nn.Module):
    """What both super-resolutions look their neighbours up in, as buffers: tables that are computed
    while a graph is traced would be part of its work."""

    order: Tensor
    inverse: Tensor
    within: Tensor
    fine_places: Tensor
    fine_bias: Tensor
    coarse_places: Tensor
    coarse_bias: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        found = tiles(config.grid, config.kernel, config.cross)
        for name in ("order", "inverse", "within"):
            self.register_buffer(name, getattr(found, name), persistent=False)
        for name, near in (("fine", found.fine), ("coarse", found.coarse)):
            self.register_buffer(f"{name}_places", near.places, persistent=False)
            self.register_buffer(f"{name}_bias", near.bias, persistent=False)

    @property
    def near(self) -> Tiles:
        fine = Near(self.fine_places, self.fine_bias)
        coarse = Near(self.coarse_places, self.coarse_bias)
        return Tiles(self.order, self.inverse, self.within, fine, coarse)


class DirectGraph(_Tiled):
    """Coarse codes to the scores of all fine ones."""

    def __init__(self, backbone: Backbone, direct: DirectSR) -> None:
        super().__init__(direct.config)
        self.backbone, self.direct = backbone, direct

    def forward(self, text: Tensor, seen: Tensor, coarse: Tensor) -> tuple[Tensor]:
        """text, seen: (B, S), coarse: (B, N) -> logits (B, M, codes)."""
        return (self.direct(self.backbone, text, seen, coarse, self.near),)


class IterativeGraph(_Tiled):
    """Fine codes, of which some are asked for, to the scores of all."""

    def __init__(self, iterative: IterativeSR) -> None:
        super().__init__(iterative.config)
        self.iterative = iterative

    def forward(self, text: Tensor, seen: Tensor, codes: Tensor) -> tuple[Tensor]:
        """text, seen: (B, S), codes: (B, M) -> logits (B, M, codes)."""
        return (self.iterative(text, seen, codes, self.near),)


@dataclass(frozen=True)
class _Examples:
    """Inputs of given sizes for the graphs of one configuration."""

    config: Config
    words: int

    def rows(self, batch: int, length: int) -> dict[str, Value]:
        first, last = self.config.symbol("<pad>"), self.config.word(self.words)
        start = torch.randint(length, (batch, 1))
        seen = (torch.arange(length) >= start).long()
        return {"text": torch.randint(first, last, (batch, length)), "seen": seen}

    def text(self, batch: int) -> dict[str, Value]:
        return self.rows(batch, self.config.text_length)

    def cached(self, batch: int, new: int, cached: int) -> dict[str, Value]:
        c = self.config
        shape = batch, c.heads, cached, c.width // c.heads
        return {
            "bias": torch.zeros(batch, new, cached),
            "own": torch.full((new, new), float("-inf")).triu(1),
            "k": [torch.randn(shape) for _ in range(c.layers)],
            "v": [torch.randn(shape) for _ in range(c.layers)],
        }

    def image(self, batch: int, new: int, cached: int) -> dict[str, Value]:
        tokens = torch.randint(self.config.codes, (batch, new))
        places = torch.randint(1 + self.config.frame_length, (new,))
        return {"tokens": tokens, "places": places, **self.cached(batch, new, cached)}

    def said(self, batch: int, new: int, cached: int) -> dict[str, Value]:
        tokens = torch.randint(
            self.config.symbol("<pad>"), self.config.word(self.words), (batch, new)
        )
        places = torch.randint(self.config.text_length, (new,))
        return {"tokens": tokens, "places": places, **self.cached(batch, new, cached)}

    def direct(self, batch: int) -> dict[str, Value]:
        coarse = torch.randint(self.config.codes, (batch, self.config.frame_length))
        return {**self.text(batch), "coarse": coarse}

    def iterative(self, batch: int) -> dict[str, Value]:
        codes = torch.randint(self.config.symbol("<n>"), (batch, self.config.fine_length))
        return {**self.rows(batch, self.config.iterative.text_length), "codes": codes}

    def indices(self, batch: int) -> dict[str, Value]:
        return {"indices": torch.randint(self.config.codes, (batch, self.config.frame_length))}

    def fine(self, batch: int) -> dict[str, Value]:
        return {"indices": torch.randint(self.config.codes, (batch, self.config.fine_length))}

    def small(self, batch: int) -> dict[str, Value]:
        return {"frames": torch.rand(batch, 3, *[self.config.image_size] * 2)}

    def large(self, batch: int) -> dict[str, Value]:
        return {"frames": torch.rand(batch, 3, *[self.config.fine_size] * 2)}


def build_graphs(model) -> dict[str, Graph]:
    """The graphs of a CogView2 `Model`."""
    config, backbone, tokenizer = model.config, model.image, model.tokenizer
    examples = _Examples(config, len(model.reader))
    several = {"batch": Range(1, 2, 16)}  # guidance doubles one prompt
    texts, length = config.text_length, config.frame_length
    cached = Range(texts, texts + length, 2 * texts + length + 1)
    steps = {**several, "new": Range(1, 1, length + 1), "cached": cached}
    said = {**several, "new": Range(1, 1, texts), "cached": cached}
    step = ("logits", "k", "v")
    found = [
        Graph("text", TextGraph(backbone, []), ("padding", "image_k", "image_v"), examples.text,
              several),
        Graph("image", ImageGraph(backbone), step, examples.image, steps),
        Graph("words", WordsGraph(backbone), step, examples.said, said),
        Graph("decode", DecodeGraph(tokenizer, config.grid), ("pixels",), examples.indices,
              PICTURES),
        Graph("encode", EncodeGraph(tokenizer), ("indices",), examples.small, PICTURES),
        Graph("encode_large", EncodeGraph(tokenizer), ("indices",), examples.large, PICTURES),
    ]  # fmt: skip
    return {graph.name: graph for graph in (*found, *large_graphs(model))}


def large_graphs(model) -> list[Graph]:
    """Those of a `Model` that make pictures large."""
    config, examples = model.config, _Examples(model.config, len(model.reader))
    direct, iterative = DirectGraph(model.image, model.direct), IterativeGraph(model.iterative)
    decode = DecodeGraph(model.tokenizer, config.fine_grid)
    return [
        Graph("direct", direct, ("logits",), examples.direct, PICTURES),
        Graph("iterative", iterative, ("logits",), examples.iterative, PICTURES),
        Graph("decode_large", decode, ("pixels",), examples.fine, PICTURES),
    ]
