"""The recognizer's network, and what it says of clips of any length and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..graph import Graph, Range, Value
from ..system import SystemModel
from .config import HEADS, Config
from .network import Network

if TYPE_CHECKING:
    from ...media.clip import Clip


class Model(SystemModel):
    """The network with its names."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config)

    @property
    def outputs(self) -> int:
        """Logits a sample, of all heads."""
        return sum(map(len, self.config.names))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """frames: (B, T, 3, H, W) in [0, 1] -> logits (B, classes) of actor, action, scene, speed.

        T is config.frames, H and W are config.image_size.
        """
        return self.network(frames)

    def recognize(self, clips: list[Clip]) -> dict[str, list[str]]:
        """The names seen in each clip, one list for each head. Clips of any length and size."""
        return self.names(self.features(clips))

    @torch.inference_mode()
    def features(self, clips: list[Clip]) -> Tensor:
        """What the heads read of each clip: (B, 3 width). Clips of any length and size."""
        device = next(self.parameters()).device
        if not clips:
            return torch.zeros(0, 3 * self.config.width, device=device)
        frames = torch.stack([moments(clip, self.config) for clip in clips])
        return self.network.features(frames.to(device))

    @torch.inference_mode()
    def names(self, features: Tensor) -> dict[str, list[str]]:
        """The likeliest name of each clip whose features (B, 3 width) are given, head by head."""
        found, classes = self.network.read(features), self.config.classes
        return {h: [classes[h][i] for i in found[h].argmax(-1).tolist()] for h in HEADS}

    @torch.inference_mode()
    def log_probabilities(self, features: Tensor) -> dict[str, Tensor]:
        """features: (B, 3 width) -> natural logarithms (B, classes) for each head's classes."""
        return {head: x.log_softmax(-1) for head, x in self.network.read(features).items()}

    def graphs(self) -> dict[str, Graph]:
        """The one function of the model: "recognize"."""
        clips = {"batch": Range(1, 8, 64)}
        graph = Graph("recognize", _InOrder(self.network), HEADS, self._example, clips)
        return {graph.name: graph}

    def _example(self, batch: int) -> dict[str, Value]:
        size = self.config.image_size
        return {"frames": torch.rand(batch, self.config.frames, 3, size, size)}


class _InOrder(nn.Module):
    """The logits as a tuple in the order of HEADS, as a graph gives them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        found = self.network(frames)
        return tuple(found[head] for head in HEADS)


def moments(clip: Clip, config: Config) -> Tensor:
    """The frames shown at even moments, first and last included: (T, 3, H, W) in [0, 1]."""
    places = moment_places(len(clip.frames), config)
    pixels = torch.from_numpy(clip.frames[places.numpy()]).movedim(-1, -3).float() / 255
    size = (config.image_size, config.image_size)
    return pixels if pixels.shape[-2:] == size else F.interpolate(pixels, size, mode="area")


def moment_places(frames: int, config: Config) -> Tensor:
    """Which of a clip's `frames` frames are looked at: int64 (T,), ascending, maybe repeated."""
    return torch.arange(config.frames) * (frames - 1) // max(1, config.frames - 1)
