"""The networks of CogView2."""

from __future__ import annotations

from torch import nn

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

    @classmethod
    def within(cls, whole: nn.Module, config: Config, reader: Vocabulary) -> Model:
        """The networks of a larger model that has them by these names: the very same ones."""
        model = cls.__new__(cls)
        SystemModel.__init__(model)
        model.config, model.reader = config, reader
        for name in ("tokenizer", "image", "direct", "iterative"):
            setattr(model, name, getattr(whole, name))
        return model

    @property
    def outputs(self) -> int:
        """Logits a sample of direct super-resolution, which has most."""
        return self.config.fine_length * self.config.codes

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self)
