"""What the pipelines' networks have in common as graphs: the text encoder, and decoders that take
a few frames at a time and hand on what the next ones need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..graph import Graph, Range, Value

if TYPE_CHECKING:
    from ..engine import Engine

# At which graphs are proven; the files take larger ones. Frames, rows and columns of latents, or of
# patches of them: all of a published clip would take a CPU hours.
FRAMES, ROWS, COLUMNS = Range(1, 3, 5), Range(1, 4, 7), Range(1, 6, 11)
GUIDED = Range(1, 2, 2)  # with and without the prompt in one batch


class TextGraph(nn.Module):
    """A prompt's tokens to what the denoiser reads."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        encoder.set_attn_implementation("eager")  # the fused one gives tensors that no trace views

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> tuple[Tensor]:
        """tokens, seen: (1, S), which of them are there -> states (1, S, C)."""
        return (self.encoder(tokens, seen)[0],)


def text_graph(encoder: Any, length: int, masked: bool) -> Graph:
    """The graph "text". masked: whether the pipeline tells its encoder which tokens are there."""

    def example() -> dict[str, Value]:
        tokens = torch.randint(encoder.config.vocab_size, (1, length))
        seen = (torch.arange(length) <= torch.randint(length, (1, 1))).long()
        return {"tokens": tokens, **({"seen": seen} if masked else {})}

    return Graph("text", TextGraph(encoder), ("states",), example)


class Step(nn.Module, ABC):
    """The pixels of a few latent frames; what follows needs `cache`, tensors of sizes that stay."""

    @abstractmethod
    def forward(self, z: Tensor, cache: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """z: (1, C, F, h, w), cache: None at a clip's begin -> (1, 3, T, H, W) in [-1, 1]."""


class Chunk(nn.Module):
    """A step as a graph. Its cache lies in (..., h, scale, w, scale), so that each dimension which
    varies is one of the latents'."""

    def __init__(self, step: Step, scales: Sequence[int]) -> None:
        super().__init__()
        self.step, self.scales = step, tuple(scales)

    def run(self, z: Tensor, cache: list[Tensor] | None) -> tuple[Tensor, ...]:
        """The frames, and the cache for the next ones."""
        rows, columns = z.shape[-2:]
        frames, kept = self.step(z, cache)
        return frames, *(
            part.unflatten(-1, (columns, scale)).unflatten(-3, (rows, scale))
            for part, scale in zip(kept, self.scales, strict=True)
        )


class First(Chunk):
    """The begin of a clip."""

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        return self.run(z, None)


class Next(Chunk):
    """What goes on from it."""

    def forward(self, z: Tensor, cache: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return self.run(z, [part.flatten(-2).flatten(-3, -2) for part in cache])


def decoder_graphs(step: Step, channels: int, first: int, each: int) -> list[Graph]:
    """The graphs "decoder_first" of `first` latent frames and "decoder_next" of `each`."""
    sizes = {"rows": ROWS, "columns": COLUMNS}

    def latents(frames: int, rows: int, columns: int) -> Tensor:
        return torch.randn(1, channels, frames, rows, columns)

    with torch.inference_mode():
        scales = [part.shape[-1] for part in step.eval()(latents(first, 1, 1), None)[1]]
    begin, further = First(step, scales), Next(step, scales)

    def opened(rows: int, columns: int) -> dict[str, Value]:
        return {"z": latents(first, rows, columns)}

    @torch.no_grad()
    def continued(rows: int, columns: int) -> dict[str, Value]:
        cache = begin(latents(first, rows, columns))[1:]
        return {"z": latents(each, rows, columns), "cache": list(cache)}

    names = "frames", *(f"kept_{number}" for number in range(len(scales)))
    return [
        Graph("decoder_first", begin, names, opened, sizes),
        Graph("decoder_next", further, names, continued, sizes),
    ]


def decode(engine: Engine, z: Tensor, first: int, each: int) -> Tensor:
    """z: (1, C, F, h, w) -> (1, 3, T, H, W) in [-1, 1], a few latent frames at a time."""
    made = engine.run("decoder_first", z=z[:, :, :first].contiguous())
    parts = [made.pop("frames").cpu()]
    for start in range(first, z.shape[2], each):
        there = z[:, :, start : start + each].contiguous()
        made = engine.run("decoder_next", z=there, cache=list(made.values()))
        parts.append(made.pop("frames").cpu())
    return torch.cat(parts, dim=2)
