"""Video Diffusion Models: a cascade of factorised space-time U-Nets (2204.03458)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ...text.vocabulary import Vocabulary
from ..graph import Graph
from .config import PRESETS, Config, UNetConfig
from .network import UNet
from .text import WordEncoder

if TYPE_CHECKING:
    from ...data import Source
    from ...training.stage import Stage
    from ...training.train import TrainOptions

__all__ = ["PRESETS", "Config", "Model", "sample", "stages"]


class Denoiser(nn.Module):
    """A U-Net with the words that it reads."""

    def __init__(self, config: UNetConfig, words: int, text: int, given_size: int = 0) -> None:
        super().__init__()
        self.config = config
        self.text = WordEncoder(words, text)
        self.unet = UNet(config, text, given_size)

    def read(self, words: Tensor, seen: Tensor) -> Tensor:
        """words, seen: (B, K, S) -> (B, K, text)."""
        return self.text(words.flatten(0, 1), seen.flatten(0, 1)).unflatten(0, words.shape[:2])


class Model(nn.Module):
    """The base and the super-resolution above it."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        words, text = len(vocabulary), config.text_width
        self.base = Denoiser(config.base, words, text)
        self.upsample = Denoiser(config.upsample, words, text, config.base.image_size)

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        from .graphs import build_graphs

        return build_graphs(self)


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The trainings in order; each is built when its turn comes."""
    from .training import STAGES

    return [make(model, source, options) for make in STAGES]


from .sample import sample  # noqa: E402
