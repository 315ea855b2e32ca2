"""CogVideo's sampling loop: first frame, key frames, then interpolation, level after level.

Written against `engine.run` alone. All randomness is one stream of uniform numbers drawn on the
host from the seed, so every engine samples the same tokens up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...clip import Clip
from ...errors import UsageError
from ...generate import Request
from ..graph import Engine, TorchEngine
from . import masks
from .config import Config
from .prompt import encode_texts
from .windows import to_frames

if TYPE_CHECKING:
    from . import Model

OnProgress = Callable[[int, int, str], None]


MOST_CODES = 512  # no draw looks further down the list


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Guidance is s in u + s (c - u); 1 is none, and interpolation has none.

    A cluster is drawn among the `first_clusters` best for the first frame and the `clusters` best
    for the others, then a code in it, sharper by `sharpen` (released code: 1.05 and 0.89).
    top_p keeps the likeliest codes that hold this share, before both draws.
    """

    guidance: float = 2.0
    temperature: float = 0.9
    top_p: float = 0.9
    sharpen: float = 0.85
    clusters: int = 12
    first_clusters: int = 16


@dataclass
class Draw:
    """Two-level sampling from scores, with host randomness."""

    labels: Tensor  # cluster of each code
    sampling: Sampling
    rng: np.random.Generator

    def __call__(self, logits: Tensor, top: int) -> Tensor:
        """logits: (B, K) -> one code each (B,)."""
        u = torch.from_numpy(self.rng.random((2, len(logits)), dtype=np.float32))
        scores = logits.float().cpu()
        if self.sampling.temperature == 0:
            return scores.argmax(-1)
        shares = (scores / self.sampling.temperature).softmax(-1)
        shares, codes = shares.topk(min(MOST_CODES, shares.shape[1]), dim=-1)
        shares = shares.masked_fill(shares.cumsum(-1) - shares >= self.sampling.top_p, 0.0)
        labels = self.labels[codes]
        groups = shares.new_zeros(len(shares), int(self.labels.max()) + 1)
        best, which = groups.scatter_add_(1, labels, shares).topk(min(top, groups.shape[1]))
        cluster = which.gather(1, _inverse(best, u[0]))
        inside = shares.masked_fill(labels != cluster, 0.0) ** (1 / self.sampling.sharpen)
        return codes.gather(1, _inverse(inside, u[1]))[:, 0]


def _inverse(shares: Tensor, u: Tensor) -> Tensor:
    """Index (B, 1) at which the cumulative shares (B, K) pass u (B,) of their sum."""
    steps = shares.double().cumsum(-1)
    target = u.double()[:, None] * steps[:, -1:]
    return torch.searchsorted(steps, target, right=True).clamp(max=shares.shape[1] - 1)


class Cache:
    """Keys and values of the tokens so far, k and v: (B, H, room, D) for each layer.

    The buffers stay where they are until `reserve` needs more room, so that an engine can hold
    on to them. What is not in use yet is zero: a mask hides it, yet it is multiplied.
    """

    def __init__(self, k: Tensor, v: Tensor) -> None:
        """k, v: (L, B, H, S, D) of the text; they are not written to."""
        self.used = k.shape[3]
        self._hold(k, v)

    def _hold(self, k: Tensor, v: Tensor) -> None:
        self._k, self._v = k, v
        self.k, self.v = list(k.unbind(0)), list(v.unbind(0))

    def reserve(self, more: int) -> None:
        """Room for `more` tokens beyond those in use."""
        size = self.used + more
        if size > self._k.shape[3]:
            self._hold(self._grown(self._k, size), self._grown(self._v, size))

    def _grown(self, old: Tensor, size: int) -> Tensor:
        new = old.new_zeros(*old.shape[:3], size, old.shape[4])
        new[:, :, :, : self.used] = old[:, :, :, : self.used]
        return new

    def add(self, k: Tensor, v: Tensor) -> None:
        """Append (L, B, H, Q, D); there is room."""
        end = self.used + k.shape[3]
        self._k[:, :, :, self.used : end] = k
        self._v[:, :, :, self.used : end] = v
        self.used = end

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.used = length


def with_text(padding: Tensor, bias: Tensor) -> Tensor:
    """padding: (B, S), bias: (..., Q, R) over what follows the text -> (..., B, Q, S + R)."""
    *lead, queries, _ = bias.shape
    bias = bias.unsqueeze(-3).expand(*lead, len(padding), -1, -1)
    text = padding[:, None].to(bias).expand(*lead, -1, queries, -1)
    return torch.cat([text, bias], dim=-1)


def earlier(length: int) -> Tensor:
    """(N, 1, N): a token of a frame sees those before it in the frame's buffer."""
    hidden = torch.ones(length, length).triu().bool()
    return torch.zeros(length, length).masked_fill(hidden, float("-inf"))[:, None]


ITSELF = torch.zeros(1, 1)  # what a single new token sees of itself


@dataclass
class Loop:
    """What the parts of the loop share."""

    engine: Engine
    config: Config
    draw: Draw
    tell: Callable[[], None]
    visible: dict[str, masks.Visibility] = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.visible = {
            "keyframes": masks.sequential(config.grid, config.frames),
            "interpolation": masks.interpolating(config.grid, config.frames, config.window),
        }

    def choose(self, logits: Tensor, guidance: float, top: int) -> Tensor:
        """logits: (B or 2 B, 1, K), the second half unconditional -> codes (B,)."""
        scores = logits[:, -1]
        if guidance != 1:
            with_text, without = scores.chunk(2)
            scores = without + guidance * (with_text - without)
        return self.draw(scores, top)


def guided(texts: list[tuple[str, str | None]], guidance: float) -> list[tuple[str, str | None]]:
    """The texts, followed by their unconditional twins where guidance needs them."""
    return texts if guidance == 1 else texts + [(rate, None) for rate, _ in texts]


def first_frame(loop: Loop, text: dict[str, Tensor], guidance: float) -> Tensor:
    """One frame from the backbone alone: (1, N)."""
    length, copies = loop.config.frame_length, len(text["padding"])
    cache, places = Cache(text["image_k"], text["image_v"]), torch.arange(length)
    cache.reserve(length)
    bias = with_text(text["padding"].cpu(), earlier(length))
    token = torch.full((copies, 1), loop.config.symbol("<start_of_image>"))
    codes = []
    for place in range(length):
        out = loop.engine.run(
            "image",
            tokens=token,
            places=places[place : place + 1],
            bias=bias[place],
            own=ITSELF,
            k=cache.k,
            v=cache.v,
        )
        cache.add(out["k"], out["v"])
        code = loop.choose(out["logits"], guidance, loop.draw.sampling.first_clusters)
        codes.append(code)
        token = code[:, None].repeat(copies // len(code), 1)
        loop.tell()
    return torch.stack(codes, dim=1)


class ClipRun:
    """One pass of a two-channel graph over the frames of a window, with both caches."""

    def __init__(self, loop: Loop, graph: str, text: dict[str, Tensor], guidance: float) -> None:
        self.loop, self.graph, self.guidance = loop, graph, guidance
        self.padding = text["padding"].cpu()
        self.dense = loop.visible[graph].dense
        self.texts = self.padding.shape[1]
        self.spatial = Cache(text["image_k"], text["image_v"])
        self.temporal = Cache(text[f"{graph}_k"], text[f"{graph}_v"])
        self.order = torch.zeros(0, dtype=torch.long)  # places in the temporal cache, in order

    def _run(self, tokens: Tensor, places: Tensor, **masks: Tensor) -> dict[str, Tensor]:
        """Run new tokens (B, Q) at places (Q,)."""
        copies = len(self.padding) // len(tokens)
        return self.loop.engine.run(
            self.graph,
            tokens=tokens.repeat(copies, 1),
            places=places,
            spatial_k=self.spatial.k,
            spatial_v=self.spatial.v,
            temporal_k=self.temporal.k,
            temporal_v=self.temporal.v,
            **masks,
        )

    def read(self, frames: dict[int, Tensor], within: Tensor) -> None:
        """Take given frames in, first of all and all at once. frames[slot]: (B, N) codes;
        within: (N, N) mask."""
        config = self.loop.config
        tokens = torch.cat([shift(config, codes) for codes in frames.values()], dim=1)
        places = torch.cat([self.places(slot) for slot in frames])
        own = torch.full((len(places), len(places)), float("-inf"))
        for block in torch.arange(len(places)).chunk(len(frames)):
            own[block[:, None], block] = within
        text = with_text(self.padding, torch.zeros(2, len(places), 0))
        out = self._run(
            tokens,
            places,
            spatial_bias=text[0],
            spatial_own=own,
            temporal_bias=text,
            temporal_own=self.dense[:, places][:, :, places],
        )
        self.temporal.reserve(len(places))
        self.temporal.add(out["temporal_k"], out["temporal_v"])
        self.order = places

    def places(self, slot: int) -> Tensor:
        """Places of the tokens of one frame."""
        length = self.loop.config.frame_length
        return torch.arange(slot * length, (slot + 1) * length)

    def begin(self, slot: int) -> None:
        """Room for a new frame, and what each of its tokens sees of the past."""
        places, known = self.places(slot), len(self.order)
        self.order = torch.cat([self.order, places])
        self.spatial.cut(self.texts)
        for cache in (self.spatial, self.temporal):
            cache.reserve(len(places))
        bias = self.dense[:, places][:, :, self.order]
        number = torch.arange(len(places))
        bias[:, number, known + number] = float("-inf")  # itself comes as a new token
        bias = bias.transpose(0, 1)[:, :, None]
        self.temporal_bias = with_text(self.padding, bias).contiguous()
        self.spatial_bias = with_text(self.padding, earlier(len(places)))

    def step(self, token: Tensor, number: int) -> Tensor:
        """Token (B, 1) `number` of the frame begun -> logits (B, 1, K)."""
        place = self.order[len(self.order) - self.loop.config.frame_length + number][None]
        out = self._run(
            token,
            place,
            spatial_bias=self.spatial_bias[number],
            spatial_own=ITSELF,
            temporal_bias=self.temporal_bias[number],
            temporal_own=ITSELF.expand(2, -1, -1),
        )
        self.spatial.add(out["spatial_k"], out["spatial_v"])
        self.temporal.add(out["temporal_k"], out["temporal_v"])
        return out["logits"]

    def write(self, slot: int, batch: int) -> Tensor:
        """Generate frame `slot` token by token: (B, N)."""
        config = self.loop.config
        self.begin(slot)
        token = torch.full((batch, 1), config.symbol("<start_of_image>"))
        codes = []
        for number in range(config.frame_length):
            logits = self.step(token, number)
            code = self.loop.choose(logits, self.guidance, self.loop.draw.sampling.clusters)
            codes.append(code)
            token = code[:, None]
            self.loop.tell()
        return torch.stack(codes, dim=1)


def shift(config: Config, codes: Tensor) -> Tensor:
    """(B, N) codes -> the input tokens: opened by <start_of_image>, the last code left out."""
    opening = codes.new_full((len(codes), 1), config.symbol("<start_of_image>"))
    return torch.cat([opening, codes[:, :-1]], dim=1)


def key_frames(loop: Loop, texts: Callable, first: Tensor, guidance: float) -> Tensor:
    """The first frame (1, N) and the others at the lowest frame rate: (F, N)."""
    run = ClipRun(loop, "keyframes", texts(guidance), guidance)
    run.read({0: first}, loop.visible["keyframes"].within[0])
    return torch.cat([first, *(run.write(slot, 1) for slot in range(1, loop.config.frames))])


def interpolate(loop: Loop, texts: Callable, known: Tensor, guidance: float) -> Tensor:
    """known: (F, N) at equal distances, F odd -> (2 F - 1, N); all windows of a level at once."""
    starts = range(0, len(known) - 2, 2)
    given = {2 * k: torch.stack([known[s + k] for s in starts]) for k in range(3)}
    run = ClipRun(loop, "interpolation", texts(guidance, len(starts)), guidance)
    run.read(given, loop.visible["interpolation"].within[0])
    new = {slot: run.write(slot, len(starts)) for slot in masks.NEW}
    frames = [known[0]]
    for number, start in enumerate(starts):
        frames += [new[1][number], known[start + 1], new[3][number], known[start + 2]]
    return torch.stack(frames)


def levels_for(frames: int) -> int:
    """How many interpolations make at least `frames` out of five key frames."""
    return max(0, (frames - 2).bit_length() - 2)


def sample(engine: Engine, model: Model, request: Request, on_progress: OnProgress) -> Clip:
    """A clip for the prompt: five key frames and what lies between them, or its first `frames`.

    Raises UsageError for more frames than that.
    """
    config = model.config
    frames = config.most_frames if request.frames is None else request.frames
    if frames > config.most_frames:
        raise UsageError(f"cogvideo makes at most {config.most_frames} frames, not {frames}")
    levels = levels_for(frames)
    total, done = config.frame_length * (5 + 2 * levels), 0

    def tell() -> None:
        nonlocal done
        done += 1
        on_progress(done, total, "frames")

    loop = start_loop(engine, model, request, tell)
    words = partial(_texts, engine, model, request.prompt)
    codes = clip_codes(loop, words, levels)
    pixels = engine.run("decode", indices=codes)["pixels"]
    return Clip(to_frames(pixels)[:frames], request.fps or 4 * 2**levels / config.clip_seconds)


def clip_codes(loop: Loop, words: Callable, levels: int | None) -> Tensor:
    """The codes of a clip (F, N): the first frame, the key frames, `levels` interpolations.

    words: the text's keys and values, from its frame rate and guidance. levels: None stops after
    the first frame.
    """
    durations, guidance = loop.config.durations, loop.draw.sampling.guidance
    codes = first_frame(loop, words(durations[0], guidance), guidance)
    if levels is None:
        return codes
    codes = key_frames(loop, partial(words, durations[0]), codes, guidance)
    for duration in durations[1 : levels + 1]:
        codes = interpolate(loop, partial(words, duration), codes, 1.0)
    return codes


def start_loop(engine: Engine, model: Model, request: Request, tell: Callable[[], None]) -> Loop:
    """The loop of one request, with the model's own settings where it leaves them open."""
    asked = {name: getattr(request, name) for name in ("guidance", "temperature", "top_p")}
    sampling = Sampling(**{name: value for name, value in asked.items() if value is not None})
    rng = np.random.default_rng(request.seed)
    return Loop(engine, model.config, Draw(model.tokenizer.clusters.cpu(), sampling, rng), tell)


def _texts(engine: Engine, model, prompt: str, seconds: float, guidance: float, copies: int = 1):
    """The text's keys and values at one frame rate, for `copies` windows and their twins."""
    texts: list[tuple[str, str | None]] = [(f"<{seconds}s>", prompt)] * copies
    text, seen = encode_texts(model.config, model.vocabulary, guided(texts, guidance))
    return engine.run("text", text=text, seen=seen)


def preview(model: Model, prompt: str, stage: str) -> Clip:
    """What a model in training makes of a prompt with the stages that are trained by then."""
    engine = TorchEngine(model.graphs(), str(next(model.parameters()).device))
    loop = start_loop(engine, model, Request(prompt), lambda: None)
    levels = {"image": None, "keyframes": 0, "interpolation": 1}[stage]
    codes = clip_codes(loop, partial(_texts, engine, model, prompt), levels)
    return Clip(to_frames(engine.run("decode", indices=codes)["pixels"]), 1.0)
