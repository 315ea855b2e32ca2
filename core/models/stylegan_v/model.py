"""StyleGAN-V's networks in one model."""

from __future__ import annotations

from ..system import SystemModel
from .config import Config
from .discriminator import Discriminator
from .generator import Generator


class Model(SystemModel):
    """A generator, and the discriminator that it learns against."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__()
        self.config = config
        self.generator, self.discriminator = Generator(config), Discriminator(config)
