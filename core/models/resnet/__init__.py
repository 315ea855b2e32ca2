"""ResNet: deep residual learning for image recognition (He et al. 2016, 1512.03385)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers.classification import Classifier, ClassifierStage, fitted, sample
from .config import PRESETS, Config
from .network import Network

if TYPE_CHECKING:
    from ...data import Source
    from ...text.vocabulary import Vocabulary
    from ...training.options import TrainOptions
    from ...training.stage import Stage

__all__ = ["PRESETS", "Config", "Model", "fitted", "sample", "stages"]


class Model(Classifier):
    def __init__(self, config: Config, vocabulary: Vocabulary) -> None:
        super().__init__(Network(config), config, vocabulary)


def stages(model: Model, source: Source, options: TrainOptions) -> list[Stage]:
    """The one training: SGD with momentum, as residual networks are trained."""
    return [ClassifierStage(model, source, options)]
