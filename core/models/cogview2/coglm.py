"""CogLM: one attention mask with a region that is given and one that is predicted.

2204.14217, section 3.1. A given token sees given ones alone; a token of the causal region sees all
given ones and those of its region that come before it. Which tokens are given makes the task: text
to image, masked regions of an image, image to text, text infilling.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers.attention import attend
from ..layers.backbone import Backbone

GIVEN = -1


class Sequences(NamedTuple):
    """Tokens [text, <start_of_image>, codes], each (B, T).

    rank: GIVEN, or the token's place in the causal region; present: whether it is there at all;
    labels: the row of the table that it is to predict; scored: whether it is.
    """

    tokens: Tensor
    positions: Tensor
    rank: Tensor
    present: Tensor
    labels: Tensor
    scored: Tensor


def visible(rank: Tensor, present: Tensor, texts: int) -> Tensor:
    """rank, present: (B, T), the first `texts` tokens the text -> which token, (B, T, T), sees
    which. Text that is given sees no picture; what is not there is seen by itself alone."""
    row, column = rank[:, :, None], rank[:, None]
    image = torch.arange(rank.shape[1], device=rank.device) >= texts
    above = (row != GIVEN) | image[:, None] | ~image[None]
    seen = torch.where(column == GIVEN, above, (column <= row) & (row != GIVEN))
    itself = torch.eye(rank.shape[1], dtype=torch.bool, device=rank.device)
    return (seen & present[:, None]) | itself


def states(backbone: Backbone, tokens: Tensor, positions: Tensor, seen: Tensor) -> Tensor:
    """tokens, positions: (B, T), seen: bool (B, T, T) -> final states (B, T, C)."""
    x = backbone.tokens(tokens) + backbone.positions(positions)
    hidden = torch.zeros(seen.shape, dtype=x.dtype, device=x.device)
    bias = hidden.masked_fill(~seen, float("-inf"))[:, None]
    for layer in backbone.blocks:
        q, k, v = layer.attention.heads(layer.norm1(x), backbone.config.heads)
        x = layer.finish(x, layer.attention.dense(attend(q, k, v, bias)))
    return x


def word_logits(backbone: Backbone, x: Tensor) -> Tensor:
    """Final states (B, T, C) -> scores of what follows the codes in the table: symbols, words."""
    return F.linear(backbone.norm(x), backbone.tokens.weight[backbone.config.codes :])


def logits(backbone: Backbone, batch: Sequences) -> tuple[Tensor, Tensor]:
    """Scores of words where the text is, (B, S, rows), of codes behind it, (B, 1 + N, codes)."""
    texts = batch.tokens.shape[1] - backbone.config.frame_length - 1
    seen = visible(batch.rank, batch.present, texts)
    x = states(backbone, batch.tokens.long(), batch.positions.long(), seen)
    return word_logits(backbone, x[:, :texts]), backbone.logits(x[:, texts:])
