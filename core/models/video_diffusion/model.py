"""The networks of Video Diffusion."""

from __future__ import annotations

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary
from ..graph import Graph
from ..system import SystemModel
from .config import Config
from .denoiser import Denoiser
from .graphs import build_graphs


class Model(SystemModel):
    """The base, the super-resolution above it, and the base's twin for few steps."""

    reader: Vocabulary | Pretrained

    def __init__(self, config: Config, reader: Vocabulary | Pretrained) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        words = len(reader.words)
        self.base = Denoiser(config, config.base, words)
        self.upsample = Denoiser(config, config.upsample, words, config.base.image_size)
        self.fast = Denoiser(config, config.base, words) if config.fast_steps else None

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self)
