"""The networks of CogVideo."""

from __future__ import annotations

from ...text.vocabulary import Vocabulary
from ..graph import Graph
from ..layers.backbone import Backbone
from ..layers.tokenizer import ImageTokenizer
from ..system import SystemModel
from .config import Config
from .graphs import build_graphs
from .transformer import Channel


class Model(SystemModel):
    """The tokenizer, the text-to-image backbone and a channel for each video stage."""

    reader: Vocabulary

    def __init__(self, config: Config, reader: Vocabulary) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.tokenizer = ImageTokenizer(config.tokenizer)
        self.image = Backbone(config, len(reader))
        self.keyframes = Channel(config)
        self.interpolation = Channel(config)

    @property
    def outputs(self) -> int:
        """Logits a sample of the key frames' stage, which has most."""
        return (self.config.frames - 1) * self.config.grid**2 * self.config.codes

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self)
