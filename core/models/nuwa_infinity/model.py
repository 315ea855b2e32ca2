"""The networks of NUWA-Infinity."""

from __future__ import annotations

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary
from ..graph import Graph
from ..system import SystemModel
from .config import Config
from .graphs import build_graphs
from .transformer import Transformer
from .vqgan import Vqgan


class Model(SystemModel):
    """The tokenizer and the transformer."""

    reader: Vocabulary | Pretrained | None

    def __init__(self, config: Config, reader: Vocabulary | Pretrained | None) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.words = len(reader.words) if reader else 0
        self.vqgan = Vqgan(config.vqgan)
        self.transformer = Transformer(config, self.words)

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self.vqgan, self.transformer, self.words)
