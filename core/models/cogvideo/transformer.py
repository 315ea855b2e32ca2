"""CogVideo's transformer: a text-to-image backbone and second attention channels beside it.

* The backbone (CogView2's role) has sandwich layer norms and learned absolute positions; text is
  bidirectional, the tokens of a frame are causal and see the text and their own frame only.
* A channel adds to every layer a second attention over several frames. Both attentions read the
  same normalised states; their outputs are mixed as alpha * base + (1 - alpha) * new, with a
  learned alpha per hidden unit (2205.15868, section 3.2). The backbone stays frozen.
* Text passes through the backbone alone; each channel reads it through its own keys and values.
"""

from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from ..layers.attention import attend
from ..layers.backbone import Attention, Backbone, Layer, initialise
from .config import Config
from .masks import BESIDE, Visibility
from .pointer import Pointer


class Channel(nn.Module):
    """A second attention for every layer of a backbone, over the frames of a clip."""

    def __init__(self, config: Config, stage: str = "keyframes") -> None:
        super().__init__()
        self.stage = stage
        self.attention = nn.ModuleList(Attention(config.width) for _ in range(config.layers))
        self.mix = nn.Parameter(torch.zeros(config.layers, config.width))
        # As published, one row a token of a whole clip; the last frame's rows are never read.
        self.positions = nn.Embedding(config.frames * config.frame_length, config.width)
        initialise(self)
        count = len(BESIDE[stage][1])
        self.pointer = Pointer(config.width, count) if config.points else None

    def at(self, layer: int) -> Attention:
        """The second attention of one layer."""
        return cast(Attention, self.attention[layer])

    @torch.no_grad()
    def start_from(self, backbone: Backbone) -> None:
        """Begin identical to the backbone's attention; positions tile the first frame's."""
        config = backbone.config
        for index, layer in enumerate(backbone.blocks):
            self.at(index).load_state_dict(layer.attention.state_dict())
        start = config.image_position
        first = backbone.positions.weight[start : start + config.frame_length]
        self.positions.weight.copy_(first.repeat(config.frames, 1))


def clip_logits(
    backbone: Backbone,
    channel: Channel | None,
    text: Tensor,
    seen: Tensor,
    codes: Tensor,
    visibility: Visibility | None,
    beside: Tensor | None = None,
) -> Tensor:
    """All frames at once, as in training.

    text, seen: (B, S); codes: (B, F, N) input tokens, each frame shifted by one and opened by
    <start_of_image> -> scores (B, F, N, codes). `visibility` says what the frames see through
    the channel; without a channel the frames are independent of each other. beside: (B, F, N, 1 or
    2), `training.codes_beside`, for a channel with a pointer.
    """
    config, (_, frames, length) = backbone.config, codes.shape
    start = config.image_position
    place = backbone.positions.weight[start : start + length]
    if channel is not None:
        place = torch.cat([place, channel.positions.weight[: (frames - 1) * length]])
    drawn = backbone.tokens(codes).flatten(1, 2) + place
    pointer = channel.pointer if channel is not None else None
    if pointer is not None and beside is not None:
        drawn = drawn + pointer.told(backbone.tokens, beside.flatten(1, 2))
    x = torch.cat([backbone.read(text, seen), drawn], dim=1)
    padding = torch.zeros_like(seen, dtype=x.dtype).masked_fill(seen == 0, float("-inf"))
    # A row of padding only sees itself in the softmax's place of a NaN; nothing reads it.
    padding = padding.clamp(min=torch.finfo(torch.float32).min / 2)
    within = visibility.within if visibility else causal_frame(length, x)
    for index, layer in enumerate(backbone.blocks):
        attended = _layer_attention(
            config, layer, index, channel, layer.norm1(x), padding, within, visibility, frames
        )
        x = layer.finish(x, attended)
    x = x[:, text.shape[1] :]
    scores = backbone.logits(x)
    if pointer is not None and beside is not None:
        scores = pointer.pointed(scores, backbone.norm(x), beside.flatten(1, 2))
    return scores.unflatten(1, (frames, length))


def causal_frame(length: int, like: Tensor) -> Tensor:
    """(1, N, N) additive mask: a token sees itself and the earlier tokens of its frame."""
    return like.new_full((length, length), float("-inf")).triu(1).unsqueeze(0)


def _layer_attention(
    config: Config,
    layer: Layer,
    index: int,
    channel: Channel | None,
    normed: Tensor,
    padding: Tensor,
    within: Tensor,
    visibility: Visibility | None,
    frames: int,
) -> Tensor:
    """Both channels of one layer over [text, frames]: normed (B, S + F N, C) -> same."""
    texts, length = padding.shape[1], within.shape[-1]
    q, k, v = layer.attention.heads(normed, config.heads)
    qt, kt, vt = (t[:, :, :texts] for t in (q, k, v))
    from_text = attend(qt, kt, vt, padding[:, None, None])
    base = _spatial(q, k, v, padding, within, texts, frames, length)
    if channel is None or visibility is None:
        return layer.attention.dense(torch.cat([from_text, base], dim=1))
    new = channel.at(index)
    qn, kn, vn = new.heads(normed, config.heads)
    over_time = _temporal(qn, kn, vn, padding, visibility, index, texts)
    alpha = torch.sigmoid(channel.mix[index])
    mixed = alpha * layer.attention.dense(base) + (1 - alpha) * new.dense(over_time)
    return torch.cat([layer.attention.dense(from_text), mixed], dim=1)


def _spatial(q, k, v, padding, within, texts: int, frames: int, length: int) -> Tensor:
    """Each frame sees the text and itself; the frames are folded into the batch."""
    qs, ks, vs = (
        rearrange(t[:, :, texts:], "b h (f n) d -> (b f) h n d", f=frames) for t in (q, k, v)
    )
    kt, vt = (t[:, :, :texts].repeat_interleave(frames, 0) for t in (k, v))
    bias = torch.cat(
        [
            padding.repeat_interleave(frames, 0)[:, None].expand(-1, length, -1),
            within.to(padding.dtype).repeat(len(padding) * frames // len(within), 1, 1),
        ],
        dim=-1,
    )
    out = attend(qs, torch.cat([kt, ks], 2), torch.cat([vt, vs], 2), bias.unsqueeze(1))
    return rearrange(out, "(b f) n c -> b (f n) c", f=frames)


def _temporal(q, k, v, padding, visibility: Visibility, index: int, texts: int) -> Tensor:
    """Frame tokens see the text and, window by window, the frames that `visibility` allows."""
    order, inverse, allowed = visibility.layer(index)
    windows = len(allowed)
    qw, kw, vw = (
        rearrange(t[:, :, texts:][:, :, order], "b h (w n) d -> (b w) h n d", w=windows)
        for t in (q, k, v)
    )
    kt, vt = (t[:, :, :texts].repeat_interleave(windows, 0) for t in (k, v))
    rows = allowed.shape[-1]
    bias = torch.cat(
        [
            padding.repeat_interleave(windows, 0)[:, None].expand(-1, rows, -1),
            allowed.to(padding.dtype).repeat(len(padding), 1, 1),
        ],
        dim=-1,
    )
    out = attend(qw, torch.cat([kt, kw], 2), torch.cat([vt, vw], 2), bias.unsqueeze(1))
    return rearrange(out, "(b w) n c -> b (w n) c", w=windows)[:, inverse]
