"""Image to text: what a picture shows in words, and how well it tells a prompt.

A caption begins after <n> and sees all of the picture; it ends with <pad>. CogView (2105.13290,
section 3.3) chooses among pictures by how likely they make their prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import on_host, run
from .rollout import Rollout, causal

if TYPE_CHECKING:
    from ...text.vocabulary import Vocabulary
    from ..engine import Engine
    from .config import Config
    from .model import Model


def caption(engine: Engine, model: Model, pixels: np.ndarray) -> str:
    """pixels: (F, 3, H, W) in [0, 1], pictures of one thing, such as frames of a clip, of the
    model's image size -> their likeliest caption, word after word; they vote on each."""
    config = model.config
    codes = on_host(run(engine, "encode", frames=pixels)["indices"])
    rollout = looked_at(engine, model, codes)
    row, words = config.symbol("<n>"), []
    for place in range(config.text_length - 1):
        token = np.full((len(codes), 1), row)
        logits = on_host(rollout.read("words", token, np.array([place])))[:, -1]
        votes = log_softmax(logits).mean(0)
        end, first = 0, config.word(0) - config.codes
        votes[end + 1 : first] = float("-inf")  # symbols are no words
        best = int(votes[: first + len(model.reader)].argmax())
        if best == end:
            break
        words.append(best - first)
        row = config.codes + best
    return model.reader.decode(words)


def told_by(engine: Engine, model: Model, codes: np.ndarray, prompt: str) -> np.ndarray:
    """codes: (B, N) of pictures -> how likely each makes the prompt, (B,), in nats."""
    config = model.config
    rows = np.array(caption_rows(config, model.reader, prompt)[: config.text_length])
    rollout = looked_at(engine, model, codes)
    tokens = rows[None, :-1].repeat(len(codes), 0)
    places = np.arange(tokens.shape[1])
    logits = on_host(rollout.read("words", tokens, places, causal(len(places))))
    wanted = rows[1:] - config.codes
    return log_softmax(logits)[:, places, wanted].sum(1)


def looked_at(engine: Engine, model: Model, codes: np.ndarray) -> Rollout:
    """Pictures, (B, N) codes, that are given, without a text and without <start_of_image>."""
    config = model.config
    nothing = np.full((len(codes), config.text_length), config.symbol("<pad>"))
    text = run(engine, "text", text=nothing, seen=np.zeros_like(nothing))
    rollout = Rollout(engine, text, codes.shape[1] + config.text_length)
    places = 1 + np.arange(codes.shape[1])
    rollout.read("image", codes, places, np.zeros((len(places),) * 2, np.float32))
    return rollout


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Of the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def caption_rows(config: Config, vocabulary: Vocabulary, caption: str) -> list[int]:
    """A caption that is written: <n>, the words, <pad>."""
    words = [config.word(index) for index in vocabulary.encode(caption)]
    return [config.symbol("<n>"), *words, config.symbol("<pad>")]
