"""The networks of CogView2."""

from __future__ import annotations

from ...text.vocabulary import Vocabulary
from ..graph import Graph
from ..layers.backbone import Backbone
from ..layers.tokenizer import ImageTokenizer
from ..system import SystemModel
from .config import Config
from .direct import DirectSR
from .graphs import build_graphs
from .iterative import IterativeSR


class Model(SystemModel):
    """The tokenizer, CogLM and both super-resolutions."""

    reader: Vocabulary

    def __init__(self, config: Config, reader: Vocabulary) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.tokenizer = ImageTokenizer(config.tokenizer)
        self.image = Backbone(config, len(reader))
        self.direct = DirectSR(config)
        self.iterative = IterativeSR(config, len(reader))

    @property
    def outputs(self) -> int:
        """Logits a sample of direct super-resolution, which has most."""
        return self.config.fine_length * self.config.codes

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self)
