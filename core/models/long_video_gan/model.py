"""The networks of LongVideoGAN."""

from __future__ import annotations

from ..graph import Graph
from ..system import SystemModel
from . import low_discriminator, low_generator, super_discriminator, super_generator
from .config import Config
from .graphs import build_graphs


class Model(SystemModel):
    """Two generators, of small frames and of large ones, and what each learns against."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.low_generator = low_generator.Generator(config)
        self.low_discriminator = low_discriminator.Discriminator(config)
        self.super_generator = super_generator.Generator(config)
        self.super_discriminator = super_discriminator.Discriminator(config)

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self.low_generator, self.super_generator, self.config)
