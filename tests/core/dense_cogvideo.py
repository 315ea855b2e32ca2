"""CogVideo as plain arithmetic over published tensor names: one dense mask a layer,
each pair of tokens judged by itself (2205.15868, sections 3.1 and 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
TOP, PLUS = "transformer.", "mixins.attention_plus."


@dataclass(frozen=True)
class Layout:
    """Text, then frames of grid x grid tokens; `start` is the first frame's first position."""

    text: int
    frames: int
    grid: int
    start: int
    layers: int = 2
    width: int = 24
    heads: int = 2
    rows: int = 60  # of the embedding table
    codes: int = 50

    @property
    def frame(self) -> int:
        return self.grid**2


def drawn(layout: Layout, seed: int) -> State:
    """Random weights, biases, norms and mixing vectors."""
    rng = torch.Generator().manual_seed(seed)
    width, state = layout.width, {}

    def put(name: str, *shape: int, scale: float = 0.2, mean: float = 0.0) -> None:
        state[name] = mean + scale * torch.randn(*shape, generator=rng)

    def linear(name: str, out: int, into: int) -> None:
        put(f"{name}.weight", out, into)
        put(f"{name}.bias", out)

    put(f"{TOP}word_embeddings.weight", layout.rows, width, scale=1)
    put(f"{TOP}position_embeddings.weight", layout.start + layout.frame, width, scale=1)
    put(
        "mixins.extra_position_embedding.position_embeddings.weight",
        5 * layout.frame, width, scale=1,
    )  # fmt: skip
    norms = [f"{TOP}final_layernorm"]
    for layer in range(layout.layers):
        own = f"{TOP}layers.{layer}."
        parts = ("input", "post_attention", "third", "fourth")
        norms += [f"{own}{part}_layernorm" for part in parts]
        linear(f"{own}mlp.dense_h_to_4h", 4 * width, width)
        linear(f"{own}mlp.dense_4h_to_h", width, 4 * width)
        linear(f"{own}attention.query_key_value", 3 * width, width)
        linear(f"{own}attention.dense", width, width)
        linear(f"{PLUS}query_key_value.{layer}", 3 * width, width)
        linear(f"{PLUS}dense.{layer}", width, width)
        put(f"{PLUS}attn_distribution.{layer}", width, scale=1)
    for norm in norms:
        put(f"{norm}.weight", width, mean=1)
        put(f"{norm}.bias", width)
    return state


def logits(
    layout: Layout, state: State, tokens: Tensor, seen: Tensor, stage: int, window: int
) -> Tensor:
    """tokens: (T,) text and frames, seen: (S,) with 1 where a text token is no padding -> scores
    (F N, codes) of the frames' tokens."""
    texts, frame = layout.text, layout.frame
    base = state[f"{TOP}position_embeddings.weight"]
    extra = state["mixins.extra_position_embedding.position_embeddings.weight"]
    first = base[layout.start : layout.start + frame]
    places = torch.cat([base[:texts], first, extra[: (layout.frames - 1) * frame]])
    x = state[f"{TOP}word_embeddings.weight"][tokens] + places
    near = mask(layout, seen, lambda i, j: within(layout, stage, i, j))
    for layer in range(layout.layers):
        shift = window // 2 if layer % 2 and window < layout.grid else 0
        far = mask(layout, seen, lambda i, j: between(layout, stage, window, shift, i, j))  # noqa: B023
        own = f"{TOP}layers.{layer}."
        normed = norm(state, f"{own}input_layernorm", x)
        names = (f"{own}attention.query_key_value", f"{own}attention.dense")
        attended = attention(layout, state, *names, normed, near)
        names = (f"{PLUS}query_key_value.{layer}", f"{PLUS}dense.{layer}")
        new = attention(layout, state, *names, normed, far)
        alpha = torch.sigmoid(state[f"{PLUS}attn_distribution.{layer}"])
        mixed = alpha * attended + (1 - alpha) * new
        attended = torch.cat([attended[:texts], mixed[texts:]])
        x = x + norm(state, f"{own}third_layernorm", attended)
        hidden = linear(
            state, f"{own}mlp.dense_h_to_4h", norm(state, f"{own}post_attention_layernorm", x)
        )
        hidden = linear(state, f"{own}mlp.dense_4h_to_h", F.gelu(hidden, approximate="tanh"))
        x = x + norm(state, f"{own}fourth_layernorm", hidden)
    x = norm(state, f"{TOP}final_layernorm", x[texts:])
    return x @ state[f"{TOP}word_embeddings.weight"][: layout.codes].T


def mask(layout: Layout, seen: Tensor, allows: Callable[[int, int], bool]) -> Tensor:
    """(T, T): who sees whom. Text sees the words; what is never read sees itself."""
    texts, length = layout.text, layout.text + layout.frames * layout.frame
    table = torch.eye(length, dtype=torch.bool)
    table[:, :texts] |= seen.bool()
    for i in range(texts, length):
        for j in range(texts, length):
            table[i, j] = allows(i - texts, j - texts)
    return table


def within(layout: Layout, stage: int, i: int, j: int) -> bool:
    """The base channel: its own frame, causally, unless the frame was given."""
    (a, m), (b, n) = divmod(i, layout.frame), divmod(j, layout.frame)
    return a == b and (n <= m or (stage == 2 and a % 2 == 0))


def between(layout: Layout, stage: int, window: int, shift: int, i: int, j: int) -> bool:
    """The second channel: stage 1 is causal; in stage 2 frames 0, 2, 4 are given and see each
    other, the new ones see what is given and what they have made, all in the same window."""
    (a, m), (b, n) = divmod(i, layout.frame), divmod(j, layout.frame)
    if stage == 1:
        return j <= i
    if cell(layout, window, shift, m) != cell(layout, window, shift, n):
        return False
    return b % 2 == 0 or (a % 2 == 1 and j <= i)


def cell(layout: Layout, window: int, shift: int, place: int) -> tuple[int, int]:
    """The window of a token: windows begin at `shift`, and before it lies another."""
    row, column = divmod(place, layout.grid)
    return (row - shift) // window, (column - shift) // window


def attention(
    layout: Layout, state: State, qkv: str, dense: str, x: Tensor, allowed: Tensor
) -> Tensor:
    out = []
    parts = linear(state, qkv, x).chunk(3, -1)
    for q, k, v in zip(*(part.chunk(layout.heads, -1) for part in parts), strict=True):
        scores = (q @ k.T / q.shape[-1] ** 0.5).masked_fill(~allowed, float("-inf"))
        out.append(scores.softmax(-1) @ v)
    return linear(state, dense, torch.cat(out, -1))


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])
