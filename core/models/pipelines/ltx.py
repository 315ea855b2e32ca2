"""LTX-Video (2501.00103) as graphs: a transformer over places in a row, a decoder of all frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..graph import Graph, Value
from .graphs import COLUMNS, FRAMES, GUIDED, ROWS, text_graph
from .kinds import Kind

if TYPE_CHECKING:
    from ..engine import Engine

LENGTH = 128  # tokens of a prompt


class Denoiser(nn.Module):
    """The velocity of the latents, which lie in frames, rows and columns here."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        timestep: Tensor,
        encoder_attention_mask: Tensor,
        scale: Tensor,
    ) -> tuple[Tensor]:
        """hidden_states: (B, F, h, w, C), encoder_hidden_states: (B, S, D), timestep: (1,),
        encoder_attention_mask: (B, S), scale: (3,), seconds and pixels of a place -> (B, places,
        C)."""
        batch, frames, rows, columns, _ = hidden_states.shape
        return self.transformer(
            hidden_states=hidden_states.flatten(1, 3), timestep=timestep.expand(batch),
            encoder_hidden_states=encoder_hidden_states.expand(batch, -1, -1),
            encoder_attention_mask=encoder_attention_mask.expand(batch, -1),
            num_frames=frames, height=rows, width=columns, rope_interpolation_scale=scale,
            return_dict=False,
        )[:1]  # fmt: skip


class Decoder(nn.Module):
    """Latents to pixels, all frames at once."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.decoder = vae.decoder

    def forward(self, z: Tensor, time: Tensor | None = None) -> tuple[Tensor]:
        """z: (1, C, F, h, w), time: (1,), of the noise that is left -> (1, 3, T, H, W)."""
        return (self.decoder(z, time),)


class LTX(Kind):
    """LTXPipeline."""

    masked = False

    def length(self, pipe: Any) -> int:
        return LENGTH

    def graphs(self, pipe: Any) -> list[Graph]:
        config, vae = pipe.transformer.config, pipe.vae

        def example(batch: int, frames: int, rows: int, columns: int) -> dict[str, Value]:
            width = config.caption_channels
            return {
                "hidden_states": torch.randn(batch, frames, rows, columns, config.in_channels),
                "encoder_hidden_states": torch.randn(batch, LENGTH, width),
                "timestep": 999 * torch.rand(1),
                "encoder_attention_mask": torch.randint(2, (batch, LENGTH)).float(),
                "scale": 1 + 31 * torch.rand(3),
            }

        def decoded(frames: int, rows: int, columns: int) -> dict[str, Value]:
            z = torch.randn(1, vae.config.latent_channels, frames, rows, columns)
            return {"z": z, **({"time": torch.rand(1)} if vae.config.timestep_conditioning else {})}

        sizes = {"frames": FRAMES, "rows": ROWS, "columns": COLUMNS}
        guided = {"batch": GUIDED, **sizes}
        return [
            text_graph(pipe.text_encoder, LENGTH, self.masked),
            Graph("denoiser", Denoiser(pipe.transformer), ("noise",), example, guided),
            Graph("decoder", Decoder(vae), ("frames",), decoded, sizes),
        ]

    def latents(self, pipe: Any, frames: int, rows: int, columns: int) -> tuple[int, ...]:
        return 1, frames * rows * columns, pipe.transformer.config.in_channels

    def inputs(self, network: Any, given: dict[str, Any]) -> dict[str, Tensor]:
        shape = given["num_frames"], given["height"], given["width"]
        return {
            "hidden_states": given["hidden_states"].unflatten(1, shape),
            "encoder_hidden_states": given["encoder_hidden_states"],
            "timestep": given["timestep"],
            "encoder_attention_mask": given["encoder_attention_mask"].float(),
            "scale": torch.tensor(given["rope_interpolation_scale"], dtype=torch.float32),
        }

    def paced(self, fps: float) -> dict[str, Any]:
        return {"frame_rate": fps}

    def decode(self, engine: Engine, z: Tensor, time: Tensor | None = None, *_: Any) -> Tensor:
        given = {} if time is None else {"time": time}
        return engine.run("decoder", z=z.contiguous(), **given)["frames"].to("cpu", copy=True)


KIND = LTX()
