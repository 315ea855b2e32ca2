"""CogVideoX (2408.06072) as graphs: a transformer over all frames, a decoder that is causal in
time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..graph import Graph, Value
from .graphs import COLUMNS, FRAMES, GUIDED, ROWS, Step, decode, decoder_graphs, text_graph
from .kinds import Kind

if TYPE_CHECKING:
    from ..engine import Engine

FIRST, EACH = 3, 2  # latent frames that are decoded at once
_IDLE = ("conv_y", "conv_b")  # of one frame each: they keep what nothing reads


class Denoiser(nn.Module):
    """What noise is in the latents."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer
        transformer.patch_embed.sample_height = 0  # never the size that it keeps a table for

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        timestep: Tensor,
        positions: Tensor | None = None,
        cosines: Tensor | None = None,
        sines: Tensor | None = None,
    ) -> tuple[Tensor]:
        """hidden_states: (B, F, C, h, w), encoder_hidden_states: (B, S, D), timestep: (1,), and
        where the places are: positions (1, S + places, width), or cosines and sines of rotary
        ones, (places, head) each -> like hidden_states."""
        self.transformer.patch_embed._get_positional_embeddings = lambda *_, **__: positions
        turned = None if cosines is None else (cosines, sines)
        return self.transformer(
            hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states,
            timestep=timestep.expand(len(hidden_states)), image_rotary_emb=turned,
            return_dict=False,
        )[:1]  # fmt: skip


class Decoder(Step):
    """The causal decoder; its cache is a tree of names."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.decoder, self.before = vae.decoder, vae.post_quant_conv
        for layer in self.decoder.modules():
            if isinstance(layer, nn.Conv3d):
                layer.forward = traceable(layer)  # pyright: ignore
        self._names: list[tuple[str, ...]] = []

    def forward(self, z: Tensor, cache: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        z = z if self.before is None else self.before(z)
        tree = None if cache is None else planted(self._names, cache)
        frames, tree = self.decoder(z, conv_cache=tree)
        found = dict(leaves(tree))
        self._names = list(found)
        return frames, list(found.values())


def traceable(layer: nn.Conv3d) -> Callable[[Tensor], Tensor]:
    """What it computes. The published layer looks at how much memory that takes, and goes part by
    part where it is much; no trace can, as it holds for many sizes."""
    published = layer.forward

    def forward(x: Tensor) -> Tensor:
        return nn.Conv3d.forward(layer, x) if torch.compiler.is_exporting() else published(x)

    return forward


def leaves(tree: Any, under: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Tensor]]:
    """The tensors of nested dicts by their names, but those that nothing reads."""
    if isinstance(tree, Tensor):
        return [(under, tree)]
    inner = {} if tree is None else tree
    kept = [(name, part) for name, part in inner.items() if name not in _IDLE]
    return [leaf for name, part in kept for leaf in leaves(part, (*under, name))]


def planted(names: list[tuple[str, ...]], tensors: list[Tensor]) -> dict[str, Any]:
    """The nested dicts back from `leaves`."""
    tree: dict[str, Any] = {}
    for (*under, name), tensor in zip(names, tensors, strict=True):
        branch = tree
        for each in under:
            branch = branch.setdefault(each, {})
        branch[name] = tensor
    return tree


class CogVideoX(Kind):
    """CogVideoXPipeline, of the versions 1.0 and 1.5."""

    masked = False

    def length(self, pipe: Any) -> int:
        return pipe.transformer.config.max_text_seq_length

    def graphs(self, pipe: Any) -> list[Graph]:
        config = pipe.transformer.config
        patch, deep = config.patch_size, config.patch_size_t or 1

        def example(batch: int, frames: int, rows: int, columns: int) -> dict[str, Value]:
            shape = batch, deep * frames, config.in_channels, patch * rows, patch * columns
            made: dict[str, Value] = {
                "hidden_states": torch.randn(shape),
                "encoder_hidden_states": torch.randn(
                    batch, self.length(pipe), config.text_embed_dim
                ),
                "timestep": 999 * torch.rand(1),
            }
            if config.use_rotary_positional_embeddings:
                turn = torch.randn(frames * rows * columns, config.attention_head_dim)
                return made | {"cosines": turn.cos(), "sines": turn.sin()}
            return made | {"positions": positions(pipe.transformer, *shape)}

        sizes = {"batch": GUIDED, "frames": FRAMES, "rows": ROWS, "columns": COLUMNS}
        denoiser = Graph("denoiser", Denoiser(pipe.transformer), ("noise",), example, sizes)
        return [
            text_graph(pipe.text_encoder, self.length(pipe), self.masked),
            denoiser,
            *decoder_graphs(Decoder(pipe.vae), pipe.vae.config.latent_channels, FIRST, EACH),
        ]

    def latents(self, pipe: Any, frames: int, rows: int, columns: int) -> tuple[int, ...]:
        deep = pipe.transformer.config.patch_size_t or 1
        return 1, frames + -frames % deep, pipe.transformer.config.in_channels, rows, columns

    def inputs(self, network: Any, given: dict[str, Any]) -> dict[str, Tensor]:
        told = ("hidden_states", "encoder_hidden_states", "timestep")
        inputs = {name: given[name] for name in told}
        if (turned := given["image_rotary_emb"]) is None:
            where = positions(network, *inputs["hidden_states"].shape)
            return inputs | {"positions": where}
        return inputs | {"cosines": turned[0], "sines": turned[1]}

    def decode(self, engine: Engine, z: Tensor, *_: Any) -> Tensor:
        return decode(engine, z, FIRST, EACH)


def positions(network: Any, batch: int, frames: int, channels: int, h: int, w: int) -> Tensor:
    """Sines of where the places lie, as the transformer adds them: (1, S + places, width)."""
    patch = network.patch_embed
    shown = (frames - 1) * patch.temporal_compression_ratio + 1
    return type(patch)._get_positional_embeddings(patch, h, w, shown)


KIND = CogVideoX()
