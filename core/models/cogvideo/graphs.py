"""CogVideo as pure tensor functions: text, image step, two-channel steps, pixels.

The caches of keys and values are plain inputs and outputs: a step takes those of the tokens
before it, one tensor a layer, so that no engine has to cut a stack apart, and returns those of
its own tokens. Who calls it keeps them together; a bias of -inf hides places not filled yet.
Shapes: B batch, S text tokens, Q new tokens, P and R cached tokens of the spatial and of the
temporal channel (the text's come first), L layers, H heads, D channels of a head, N tokens of a
frame.
"""

from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ..cogview2.graphs import large_graphs
from ..graph import Graph, Range, Value
from ..layers.attention import attend_cached
from ..layers.backbone import Backbone
from ..layers.backbone_graphs import (
    DecodeGraph,
    EncodeGraph,
    FusedAttention,
    ImageGraph,
    TextGraph,
    codes_of,
    join,
)
from .config import Config
from .masks import BESIDE, NOTHING
from .transformer import Channel


class ClipGraph(nn.Module):
    """New tokens of a clip through both channels."""

    table: Tensor

    def __init__(self, backbone: Backbone, channel: Channel) -> None:
        super().__init__()
        self.backbone, config, self.pointer = backbone, backbone.config, channel.pointer
        alphas = [torch.sigmoid(channel.mix[index]) for index in range(config.layers)]
        self.attention = nn.ModuleList(
            FusedAttention([layer.attention, channel.at(index)], [a, 1 - a], config.heads)
            for index, (layer, a) in enumerate(zip(backbone.blocks, alphas, strict=True))
        )
        start = config.image_position
        first = backbone.positions.weight[start : start + config.frame_length]
        places = torch.cat([first, channel.positions.weight]).detach()
        self.register_buffer("table", places, persistent=False)

    def forward(
        self,
        tokens: Tensor,
        places: Tensor,
        spatial_bias: Tensor,
        spatial_own: Tensor,
        temporal_bias: list[Tensor],
        temporal_own: Tensor,
        spatial_k: list[Tensor],
        spatial_v: list[Tensor],
        temporal_k: list[Tensor],
        temporal_v: list[Tensor],
        beside: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """tokens: (B, Q), places: (Q,) = frame * N + place in the frame, caches L times
        (B, H, P or R, D), spatial_bias: (B, Q, P), spatial_own: (Q, Q); temporal_bias:
        (B, Q, R) and temporal_own[i]: (Q, Q) for even and for odd layers, whose R may differ;
        beside: (B, Q, 1 or 2) codes, where the channel has a pointer
        -> logits (B, Q, codes), the new spatial k, v, temporal k, v, each (L, B, H, Q, D).
        """
        batch = tokens.shape[0]
        x = self.backbone.tokens(tokens) + self.table[places]
        if self.pointer is not None and beside is not None:
            x = x + self.pointer.told(self.backbone.tokens, beside)
        x = x.flatten(0, 1)
        within = join(spatial_bias, spatial_own)
        between = [join(temporal_bias[kind], temporal_own[kind]) for kind in (0, 1)]
        found: list[list[Tensor]] = [[], [], [], []]
        for index, layer in enumerate(self.backbone.blocks):
            attention = cast(FusedAttention, self.attention[index])
            q, k, v, qn, kn, vn = attention.project(layer.norm1(x), batch)
            base = attend_cached(q, (spatial_k[index], spatial_v[index]), (k, v), within)
            past = temporal_k[index], temporal_v[index]
            over_time = attend_cached(qn, past, (kn, vn), between[index % 2])
            x = layer.finish(x, attention.dense(torch.cat([base, over_time], dim=-1)))
            for store, tensor in zip(found, (k, v, kn, vn), strict=True):
                store.append(tensor)
        scores = codes_of(self.backbone, x, batch)
        if self.pointer is not None and beside is not None:
            normed = self.backbone.norm(x).unflatten(0, (batch, -1))
            scores = self.pointer.pointed(scores, normed, beside)
        return scores, *(torch.cat(store) for store in found)


def _causal(new: int) -> Tensor:
    """(Q, Q): a token sees itself and those before it."""
    return torch.full((new, new), float("-inf")).triu(1)


@dataclass(frozen=True)
class _Examples:
    """Inputs of given sizes for the graphs of one configuration."""

    config: Config
    words: int

    def cache(self, batch: int, past: int) -> Tensor:
        c = self.config
        return torch.randn(batch, c.heads, past, c.width // c.heads)

    def text(self, batch: int) -> dict[str, Value]:
        length = self.config.text_length
        first = self.config.symbol("<pad>")
        words = torch.randint(first, self.config.word(self.words), (batch, length))
        start = torch.randint(length, (batch, 1))
        return {"text": words, "seen": (torch.arange(length) >= start).long()}

    def tokens(self, batch: int, new: int, rows: int) -> dict[str, Value]:
        tokens, places = torch.randint(self.config.codes, (batch, new)), torch.randint(rows, (new,))
        return {"tokens": tokens, "places": places}

    def image(self, batch: int, new: int, cached: int) -> dict[str, Value]:
        return {
            **self.tokens(batch, new, self.config.frame_length),
            "bias": torch.zeros(batch, new, cached),
            "own": _causal(new),
            "k": [self.cache(batch, cached) for _ in range(self.config.layers)],
            "v": [self.cache(batch, cached) for _ in range(self.config.layers)],
        }

    def clip(
        self, beside: int, batch: int, new: int, spatial: int, even: int, odd: int
    ) -> dict[str, Value]:
        """beside: frames that a pointer points to, 0 without one."""
        rooms = [(even, odd)[layer % 2] for layer in range(self.config.layers)]
        shape = (batch, new, beside)
        pointed = {"beside": torch.randint(NOTHING, self.config.codes, shape)} if beside else {}
        return {
            **self.tokens(batch, new, self.config.frames * self.config.frame_length),
            "spatial_bias": torch.zeros(batch, new, spatial),
            "spatial_own": _causal(new),
            "temporal_bias": [torch.zeros(batch, new, room) for room in (even, odd)],
            "temporal_own": _causal(new).repeat(2, 1, 1),
            "spatial_k": [self.cache(batch, spatial) for _ in rooms],
            "spatial_v": [self.cache(batch, spatial) for _ in rooms],
            "temporal_k": [self.cache(batch, room) for room in rooms],
            "temporal_v": [self.cache(batch, room) for room in rooms],
            **pointed,
        }

    def indices(self, batch: int) -> dict[str, Value]:
        return {"indices": torch.randint(self.config.codes, (batch, self.config.frame_length))}

    def frames(self, batch: int) -> dict[str, Value]:
        return {"frames": torch.rand(batch, 3, *[self.config.image_size] * 2)}


_CLIP_OUTPUTS = ("logits", "spatial_k", "spatial_v", "temporal_k", "temporal_v")
_TEXT_OUTPUTS = (
    "padding",
    *(f"{owner}_{kind}" for owner in ("image", "keyframes", "interpolation") for kind in "kv"),
)


def build_graphs(model) -> dict[str, Graph]:
    """The graphs of a CogVideo `Model`."""
    config, backbone = model.config, model.image
    examples = _Examples(config, len(model.reader))
    text = TextGraph(backbone, [model.keyframes, model.interpolation])
    # Guidance doubles one prompt; the last interpolation has half as many windows as key frames.
    several = {"batch": Range(1, 2, 16)}
    frame = config.frame_length
    texts = config.text_length
    image = {**several, "new": Range(1, 1, frame), "cached": Range(0, texts + frame, texts + frame)}
    window = Range(0, texts + 3 * frame, texts + config.frames * frame)
    clip = {
        **several,
        "new": Range(1, 1, 3 * frame),
        "spatial": Range(0, texts + frame, texts + frame),
        "even": window,
        "odd": window,
    }
    several_frames = {"batch": Range(1, config.most_frames, 4 * config.most_frames)}
    graphs = [
        Graph("text", text, _TEXT_OUTPUTS, examples.text, several),
        Graph("image", ImageGraph(backbone), ("logits", "k", "v"), examples.image, image),
        Graph(
            "decode",
            DecodeGraph(model.tokenizer, config.grid),
            ("pixels",),
            examples.indices,
            several_frames,
        ),
        Graph(
            "encode",
            EncodeGraph(model.tokenizer),
            ("indices",),
            examples.frames,
            several_frames,
        ),
    ]
    for name in ("keyframes", "interpolation"):
        module = ClipGraph(backbone, getattr(model, name))
        beside = len(BESIDE[name][1]) if config.points else 0
        graphs.append(Graph(name, module, _CLIP_OUTPUTS, partial(examples.clip, beside), clip))
    if config.large is not None:
        graphs += large_graphs(model.pictures)
    return {graph.name: graph for graph in graphs}
