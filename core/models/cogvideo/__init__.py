"""CogVideo: text to video by a hierarchy of transformers over image codes (2205.15868)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ...text.vocabulary import Vocabulary
from ..graph import Graph
from .config import PRESETS, Config
from .tokenizer import ImageTokenizer
from .transformer import Backbone, Channel

if TYPE_CHECKING:
    from ...data import Source
    from ...training.options import TrainOptions
    from ...training.stage import Stage

__all__ = ["PRESETS", "Config", "Model", "sample", "stages"]


class Model(nn.Module):
    """The tokenizer, the text-to-image backbone and a channel for each video stage."""

    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.tokenizer = ImageTokenizer(config.tokenizer)
        self.image = Backbone(config, len(vocabulary))
        self.keyframes = Channel(config)
        self.interpolation = Channel(config)

    @property
    def outputs(self) -> int:
        """Logits a sample of the key frames' stage, which has most."""
        return (self.config.frames - 1) * self.config.grid**2 * self.config.codes

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        from .graphs import build_graphs

        return build_graphs(self)


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The trainings in order; each is built when its turn comes."""
    from .training import STAGES

    return [make(model, source, options) for make in STAGES]


from .sample import sample  # noqa: E402
