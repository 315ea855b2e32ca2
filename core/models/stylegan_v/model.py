"""The networks of StyleGAN-V."""

from __future__ import annotations

from ..graph import Graph
from ..system import SystemModel
from .config import Config
from .discriminator import Discriminator
from .generator import Generator
from .graphs import build_graphs


class Model(SystemModel):
    """The generator, and the discriminator that it learns against."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.generator, self.discriminator = Generator(config), Discriminator(config)

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self.generator, self.config)
