"""The judge of generated clips: who does what, where and how fast, read from the pixels.

A small classifier of our own, trained on rendered clips of every pair of actor and action, the
ones that no generator has seen included. Its training blurs, shifts and discolours the clips so
that it judges what is in a frame and not how cleanly the frame is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UsageError
from ...text.vocabulary import Vocabulary
from ..graph import Graph, Range, Value
from .config import HEADS, PRESETS, Config
from .network import Network

if TYPE_CHECKING:
    from ...data import Source
    from ...media.clip import Clip
    from ...training.options import TrainOptions
    from ...training.stage import Stage

__all__ = ["HEADS", "PRESETS", "Config", "Model", "moment_places", "moments", "sample", "stages"]


class Model(nn.Module):
    """The network with its names; the vocabulary is that of the data's captions."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
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


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The one training. UsageError for data without labels."""
    from .training import RecognizerStage

    return [RecognizerStage(model, source, options)]


def sample(engine, model, request, on_progress) -> Clip:
    """The recognizer makes no clips: UsageError."""
    raise UsageError("the recognizer judges clips and makes none", hint="dln models list")
