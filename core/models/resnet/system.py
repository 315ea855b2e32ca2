"""ResNet as a system: an image classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers.classification import Classifier, ClassifierStage, ClassifierSystem
from .about import ABOUT
from .config import PRESETS, Config
from .network import Network

if TYPE_CHECKING:
    from ...data import Source
    from ...training.options import TrainOptions
    from ...training.stage import Stage


class Model(Classifier):
    """The network with its classes."""

    def __init__(self, config: Config, reader: None = None) -> None:
        super().__init__(Network(config), config)


class ResNet(ClassifierSystem):
    """Images to classes."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        """The one training: SGD with momentum, as residual networks are trained."""
        return [ClassifierStage(model, source, options)]


SYSTEM = ResNet()
