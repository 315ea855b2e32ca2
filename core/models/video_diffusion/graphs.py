"""Video Diffusion as pure tensor functions: captions, a guided step of the base, a step of the
super-resolution. B batch, F frames, S words, C text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..graph import Graph, Range, Value
from .schedule import spread, x_from

if TYPE_CHECKING:
    from .denoiser import Denoiser


class TextGraph(nn.Module):
    """Captions to the vectors that the base and the super-resolution read."""

    def __init__(self, owners: list[Denoiser]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(owner.text for owner in owners)

    def forward(self, words: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        """words: (B, S), or (B, S, hidden) of a pretrained encoder, seen: (B, S) -> (B, C) of
        the base, of the super-resolution and of the distilled base."""
        return tuple(encoder(words, seen) for encoder in self.encoders)


class StepGraph(nn.Module):
    """Noisy frames to the clean ones, under classifier-free guidance: both halves in one batch."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, z: Tensor, log_snr: Tensor, text: Tensor, guidance: Tensor) -> tuple[Tensor]:
        """z: (B, F, 3, H, W), log_snr, guidance: (B,), text: (B, C) -> x like z."""
        seen = guided(self.denoiser.unet, z, log_snr, text[:, None], spread(guidance, z))
        return (clean(self.denoiser, z, seen, log_snr),)


class FastGraph(nn.Module):
    """The same by the distilled twin, whose guidance is in its weights."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, z: Tensor, log_snr: Tensor, text: Tensor) -> tuple[Tensor]:
        """z: (B, F, 3, H, W), log_snr: (B,), text: (B, C) -> x like z."""
        seen = self.denoiser.unet(z, log_snr, text[:, None])
        return (clean(self.denoiser, z, seen, log_snr),)


class UpsampleGraph(nn.Module):
    """One step of the super-resolution; the text is read, guidance has shown no use here."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self, z: Tensor, log_snr: Tensor, text: Tensor, given: Tensor, given_log_snr: Tensor
    ) -> tuple[Tensor]:
        """z: (B, rate F, 3, H, W), given: (B, F, 3, h, w), log_snr, given_log_snr: (B,),
        text: (B, C) -> x like z."""
        seen = self.denoiser.unet(z, log_snr, text[:, None], given, given_log_snr)
        return (clean(self.denoiser, z, seen, log_snr),)


def guided(
    unet: nn.Module, z: Tensor, log_snr: Tensor, text: Tensor, guidance: Tensor | float
) -> Tensor:
    """u + guidance (c - u), c and u predicted in one batch; text: (B, 1, C)."""
    both = torch.cat([text, torch.zeros_like(text)])
    seen = unet(torch.cat([z, z]), torch.cat([log_snr, log_snr]), both).unflatten(0, (2, -1))
    return seen[1] + guidance * (seen[0] - seen[1])


def clean(denoiser: Denoiser, z: Tensor, seen: Tensor, log_snr: Tensor) -> Tensor:
    """The clean frames that a prediction means."""
    return x_from(denoiser.config.target, z, seen, spread(log_snr, z))


def build_graphs(model: Any) -> dict[str, Graph]:
    """The graphs of a Video Diffusion `Model`."""
    config: Any = model.config
    owners = [model.base, model.upsample, *([model.fast] if model.fast else [])]
    many = {"batch": Range(1, 1, 4)}

    def texts(batch: int) -> dict[str, Value]:
        shape = batch, config.text_length
        rows = torch.randint(max(1, len(model.reader.words)), shape)
        states = torch.randn(*shape, config.hidden) if config.encoder else rows
        return {"words": states, "seen": torch.randint(2, shape)}

    def noisy(batch: int, frames: int, size: int) -> dict[str, Value]:
        return {
            "z": torch.randn(batch, frames, 3, size, size),
            "log_snr": torch.randn(batch),
            "text": torch.randn(batch, config.text_width),
        }

    def fast(batch: int) -> dict[str, Value]:
        return noisy(batch, config.frames, config.base.image_size)

    def step(batch: int) -> dict[str, Value]:
        return fast(batch) | {"guidance": 1 + torch.rand(batch)}

    def finer(batch: int) -> dict[str, Value]:
        size = config.base.image_size
        given = torch.randn(batch, config.frames, 3, size, size)
        return noisy(batch, config.clip_frames, config.upsample.image_size) | {
            "given": given,
            "given_log_snr": torch.randn(batch),
        }

    names = ("base_text", "upsample_text", *(["fast_text"] if model.fast else []))
    found = [
        Graph("text", TextGraph(owners), names, texts, many),
        Graph("base", StepGraph(model.base), ("x",), step, many),
        Graph("upsample", UpsampleGraph(model.upsample), ("x",), finer, many),
    ]
    if model.fast:
        found.append(Graph("fast", FastGraph(model.fast), ("x",), fast, many))
    return {graph.name: graph for graph in found}
