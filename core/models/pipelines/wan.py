"""Wan (2503.20314) as graphs: a transformer over all frames, or two, one for much noise and one for
little; a decoder that takes one latent frame after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..graph import Graph, Value
from .graphs import COLUMNS, FRAMES, ROWS, Step, decode, decoder_graphs, text_graph
from .kinds import Kind

if TYPE_CHECKING:
    from ..engine import Engine

LENGTH = 512  # tokens of a prompt
KEPT = 2  # frames before a place that its convolution sees


class Denoiser(nn.Module):
    """The velocity of the latents."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor
    ) -> tuple[Tensor]:
        """hidden_states: (1, C, F, h, w), timestep: (1,), or (1, frames, rows, columns) where each
        place has its own, encoder_hidden_states: (1, S, D) -> like hidden_states."""
        return self.transformer(
            hidden_states=hidden_states,
            timestep=timestep if timestep.ndim == 1 else timestep.flatten(1),
            encoder_hidden_states=encoder_hidden_states, return_dict=False,
        )[:1]  # fmt: skip


class Decoder(Step):
    """The causal decoder. Its cache has the last two frames that each convolution has seen, zeros
    before a clip's begin: what the published one pads with where it has kept fewer."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.decoder, self.before = vae.decoder, vae.post_quant_conv
        self.patch, self.convolutions = vae.config.patch_size, vae._cached_conv_counts["decoder"]

    def forward(self, z: Tensor, cache: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        from diffusers.models.autoencoders.autoencoder_kl_wan import (  # pyright: ignore
            unpatchify,
        )

        kept: list[Any] = [None] * self.convolutions if cache is None else cache
        begins = cache is None
        frames = self.decoder(self.before(z), feat_cache=kept, feat_idx=[0], first_chunk=begins)
        if self.patch is not None:
            frames = unpatchify(frames, patch_size=self.patch)
        return frames.clamp(-1, 1), filled(kept)


def filled(kept: list[Any]) -> list[Tensor]:
    """Two frames of each. A convolution that makes a frame two, which is passed over at the begin,
    saw frames like those of the one before it; what is not used at all stays out."""
    found: list[Tensor] = []
    for each in kept:
        if isinstance(each, str):
            found.append(torch.zeros_like(found[-1]))
        elif each is not None:
            found.append(F.pad(each, (0, 0, 0, 0, KEPT - each.shape[2], 0)))
    return found


class Wan(Kind):
    """WanPipeline, of the versions 2.1 and 2.2."""

    masked = True

    def length(self, pipe: Any) -> int:
        return LENGTH

    def graphs(self, pipe: Any) -> list[Graph]:
        names = {"denoiser": pipe.transformer, "denoiser_2": pipe.transformer_2}
        each = pipe.config.expand_timesteps
        return [
            text_graph(pipe.text_encoder, LENGTH, self.masked),
            *(denoiser(name, network, each) for name, network in names.items() if network),
            *decoder_graphs(Decoder(pipe.vae), pipe.vae.config.z_dim, 1, 1),
        ]

    def latents(self, pipe: Any, frames: int, rows: int, columns: int) -> tuple[int, ...]:
        return 1, pipe.transformer.config.in_channels, frames, rows, columns

    def inputs(self, network: Any, given: dict[str, Any]) -> dict[str, Tensor]:
        z, time = given["hidden_states"], given["timestep"]
        if time.ndim > 1:
            places = [
                n // size for n, size in zip(z.shape[2:], network.config.patch_size, strict=True)
            ]
            time = time.unflatten(1, places)
        text = given["encoder_hidden_states"]
        return {"hidden_states": z, "timestep": time, "encoder_hidden_states": text}

    def decode(self, engine: Engine, z: Tensor, *_: Any) -> Tensor:
        return decode(engine, z, 1, 1)


def denoiser(name: str, network: Any, each: bool) -> Graph:
    """One transformer. each: whether every place has a time of its own."""
    config = network.config
    deep, high, wide = config.patch_size

    def example(frames: int, rows: int, columns: int) -> dict[str, Value]:
        time = 999 * torch.rand(1, frames, rows, columns) if each else 999 * torch.rand(1)
        return {
            "hidden_states": torch.randn(
                1, config.in_channels, deep * frames, high * rows, wide * columns
            ),
            "timestep": time,
            "encoder_hidden_states": torch.randn(1, LENGTH, config.text_dim),
        }

    sizes = {"frames": FRAMES, "rows": ROWS, "columns": COLUMNS}
    return Graph(name, Denoiser(network), ("noise",), example, sizes)


KIND = Wan()
