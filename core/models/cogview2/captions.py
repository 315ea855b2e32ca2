"""Image to text: what a picture shows in words, and how well it tells a prompt.

A caption begins after <n> and sees all of the picture; it ends with <pad>. CogView (2105.13290,
section 3.3) chooses among pictures by how likely they make their prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .lessons import caption_rows
from .rollout import Rollout, causal

if TYPE_CHECKING:
    from ..engine import Engine
    from .model import Model


def caption(engine: Engine, model: Model, pixels: Tensor) -> str:
    """pixels: (F, 3, H, W) in [0, 1], pictures of one thing, such as frames of a clip, of the
    model's image size -> their likeliest caption, word after word; they vote on each."""
    config = model.config
    codes = engine.run("encode", frames=pixels.contiguous())["indices"].cpu()
    rollout = looked_at(engine, model, codes)
    row, words = config.symbol("<n>"), []
    for place in range(config.text_length - 1):
        token = torch.full((len(codes), 1), row)
        logits = rollout.read("words", token, torch.tensor([place]))[:, -1].float().cpu()
        votes = logits.log_softmax(-1).mean(0)
        end, first = 0, config.word(0) - config.codes
        votes[end + 1 : first] = float("-inf")  # symbols are no words
        best = int(votes[: first + len(model.reader)].argmax())
        if best == end:
            break
        words.append(best - first)
        row = config.codes + best
    return model.reader.decode(words)


def told_by(engine: Engine, model: Model, codes: Tensor, prompt: str) -> Tensor:
    """codes: (B, N) of pictures -> how likely each makes the prompt, (B,), in nats."""
    config = model.config
    rows = torch.tensor(caption_rows(config, model.reader, prompt)[: config.text_length])
    rollout = looked_at(engine, model, codes)
    tokens = rows[:-1].expand(len(codes), -1).contiguous()
    places = torch.arange(tokens.shape[1])
    logits = rollout.read("words", tokens, places, causal(len(places))).float().cpu()
    wanted = (rows[1:] - config.codes).expand(len(codes), -1)
    return logits.log_softmax(-1).gather(-1, wanted[..., None]).sum((1, 2))


def looked_at(engine: Engine, model: Model, codes: Tensor) -> Rollout:
    """Pictures, (B, N) codes, that are given, without a text and without <start_of_image>."""
    config = model.config
    nothing = torch.full((len(codes), config.text_length), config.symbol("<pad>"))
    text = engine.run("text", text=nothing, seen=torch.zeros_like(nothing))
    rollout = Rollout(engine, text, codes.shape[1] + config.text_length)
    places = 1 + torch.arange(codes.shape[1])
    rollout.read("image", codes, places, torch.zeros(len(places), len(places)))
    return rollout
