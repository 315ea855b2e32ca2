"""The recognizer's network, and what it says of clips of any length and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UsageError
from ..graph import Graph, Range, Value
from ..system import SystemModel
from .config import Config
from .network import Network

if TYPE_CHECKING:
    from ...media.clip import Clip


AT_ONCE = 64  # pictures


class Model(SystemModel):
    """The network with its names."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config)

    @property
    def outputs(self) -> int:
        """Logits a sample, of all heads."""
        return sum(map(len, self.config.classes.values()))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """frames: (B, T, 3, H, W) in [0, 1] -> logits (B, classes) of each head.

        T is config.frames, or any number where no head tells what moves; H and W are
        config.image_size.
        """
        return self.network(frames)

    def recognize(self, clips: list[Clip]) -> dict[str, list[str]]:
        """The names seen in each clip, one list for each head. Clips of any length and size."""
        return self.names(self.features(clips))

    @torch.inference_mode()
    def features(self, clips: list[Clip]) -> Tensor:
        """What stands for each clip: (B, network.numbers). Clips of any length and size."""
        device = next(self.parameters()).device
        if not clips:
            return torch.zeros(0, self.network.numbers, device=device)
        frames = torch.stack([moments(clip, self.config) for clip in clips])
        return self.network.features(frames.to(device))

    @torch.inference_mode()
    def names(self, features: Tensor) -> dict[str, list[str]]:
        """The likeliest name of each clip whose features (B, numbers) are given, head by head."""
        found = self.network.read(features)
        return {
            head: [names[i] for i in found[head].argmax(-1).tolist()]
            for head, names in self.config.classes.items()
        }

    @torch.inference_mode()
    def log_probabilities(self, features: Tensor) -> dict[str, Tensor]:
        """features: (B, numbers) -> natural logarithms (B, classes) for each head's classes."""
        return {head: x.log_softmax(-1) for head, x in self.network.read(features).items()}

    @torch.inference_mode()
    def each_frame(self, frames: np.ndarray) -> dict[str, Tensor]:
        """RGB uint8 (T, H, W, 3) of any size -> `log_probabilities` (T, classes) of each frame, as
        if it were alone. UsageError where the network tells what only several frames show."""
        if self.config.moving:
            raise UsageError("this recognizer judges clips, and no single frames")
        pixels = resized(frames, self.config)[:, None].to(next(self.parameters()).device)
        parts = [self.network.features(part) for part in pixels.split(AT_ONCE)]
        return self.log_probabilities(torch.cat(parts))

    def graphs(self) -> dict[str, Graph]:
        """The one function of the model: "recognize"."""
        clips = {"batch": Range(1, 8, 64)}
        heads = self.config.heads
        graph = Graph("recognize", _InOrder(self.network), heads, self._example, clips)
        return {graph.name: graph}

    def _example(self, batch: int) -> dict[str, Value]:
        size = self.config.image_size
        return {"frames": torch.rand(batch, self.config.frames, 3, size, size)}


class _InOrder(nn.Module):
    """The logits as a tuple in the order of the heads, as a graph gives them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(frames).values())


def moments(clip: Clip, config: Config) -> Tensor:
    """The frames shown at even moments, first and last included: (T, 3, H, W) in [0, 1]."""
    return resized(clip.frames[moment_places(len(clip.frames), config).numpy()], config)


def resized(frames: np.ndarray, config: Config) -> Tensor:
    """RGB uint8 (T, H, W, 3) -> (T, 3, image_size, image_size) in [0, 1]."""
    pixels = torch.from_numpy(frames).movedim(-1, -3).float() / 255
    size = (config.image_size, config.image_size)
    return pixels if pixels.shape[-2:] == size else F.interpolate(pixels, size, mode="area")


def moment_places(frames: int, config: Config) -> Tensor:
    """Which of a clip's `frames` frames are looked at: int64 (T,), ascending, maybe repeated."""
    return torch.arange(config.frames) * (frames - 1) // max(1, config.frames - 1)


def hours_of(log_probabilities: Tensor) -> Tensor:
    """(..., hours) of the head "hour" -> the hour of the day (...), 0 to 24: the middle of the
    probabilities around the clock."""
    bins = log_probabilities.shape[-1]
    turn = torch.arange(bins, device=log_probabilities.device) * (2 * torch.pi / bins)
    odds = log_probabilities.exp()
    across, up = (odds * turn.sin()).sum(-1), (odds * turn.cos()).sum(-1)
    return torch.atan2(across, up) * (24 / (2 * torch.pi)) % 24


def left_of(log_probabilities: Tensor) -> Tensor:
    """(..., shares) of the head "left" -> what is left (...), from 0 to 1: the mean share."""
    steps = log_probabilities.shape[-1]
    places = torch.linspace(0, 1, steps, device=log_probabilities.device)
    return (log_probabilities.exp() * places).sum(-1)
