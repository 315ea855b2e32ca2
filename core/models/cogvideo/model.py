"""The networks of CogVideo."""

from __future__ import annotations

from ...text.vocabulary import Vocabulary
from ..cogview2.direct import DirectSR
from ..cogview2.iterative import IterativeSR
from ..cogview2.model import Model as Pictures
from ..graph import Graph
from ..layers.backbone import Backbone
from ..layers.tokenizer import ImageTokenizer
from ..system import SystemModel
from .config import Config
from .graphs import build_graphs
from .transformer import Channel


class Model(SystemModel):
    """The tokenizer, the text-to-image backbone and a channel for each video stage; where frames
    become large, both super-resolutions of CogView2."""

    reader: Vocabulary

    def __init__(self, config: Config, reader: Vocabulary) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.tokenizer = ImageTokenizer(config.tokenizer)
        self.image = Backbone(config, len(reader))
        self.keyframes = Channel(config, "keyframes")
        self.interpolation = Channel(config, "interpolation")
        if config.large is not None:
            self.direct = DirectSR(config.pictures)
            self.iterative = IterativeSR(config.pictures, len(reader))

    @property
    def pictures(self) -> Pictures:
        """The CogView2 in it, where frames become large: of the very same networks."""
        return Pictures.within(self, self.config.pictures, self.reader)

    @property
    def outputs(self) -> int:
        """Logits a sample in the stage that has most: the key frames', or direct
        super-resolution."""
        config = self.config
        small = (config.frames - 1) * config.frame_length
        large = config.pictures.fine_length if config.large else 0
        return max(small, large) * config.codes

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        return build_graphs(self)
