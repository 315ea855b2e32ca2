"""Video Diffusion Models: a cascade of factorised space-time U-Nets (2204.03458)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ...text.vocabulary import Vocabulary
from ..graph import Graph
from .config import PRESETS, Config, UNetConfig
from .network import UNet
from .text import StatesEncoder, WordEncoder

if TYPE_CHECKING:
    from ...data import Source
    from ...training.options import TrainOptions
    from ...training.stage import Stage

__all__ = ["PRESETS", "Config", "Model", "sample", "seams", "stages"]


class Denoiser(nn.Module):
    """A U-Net with what reads the captions for it."""

    def __init__(self, whole: Config, config: UNetConfig, words: int, given_size: int = 0) -> None:
        super().__init__()
        self.config, width = config, whole.text_width
        reads_states = bool(whole.encoder)
        self.text = (
            StatesEncoder(whole.hidden, width) if reads_states else WordEncoder(words, width)
        )
        self.unet = UNet(config, width, given_size)

    def read(self, words: Tensor, seen: Tensor) -> Tensor:
        """words: (B, K, S) or (B, K, S, hidden), seen: (B, K, S) -> (B, K, text)."""
        return self.text(words.flatten(0, 1), seen.flatten(0, 1)).unflatten(0, words.shape[:2])


class Model(nn.Module):
    """The base, the super-resolution above it, and the base's twin for few steps."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        words = len(vocabulary)
        self.base = Denoiser(config, config.base, words)
        self.upsample = Denoiser(config, config.upsample, words, config.base.image_size)
        self.fast = Denoiser(config, config.base, words) if config.fast_steps else None

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        from .graphs import build_graphs

        return build_graphs(self)


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The trainings in order: the base, the super-resolution, then the base in fewer steps."""
    from .distillation import DistillationStage
    from .training import BaseStage, UpsampleStage

    kinds = [BaseStage, UpsampleStage, *([DistillationStage] if model.fast else [])]
    return [make(model, source, options) for make in kinds]


from .sample import sample, seams  # noqa: E402
