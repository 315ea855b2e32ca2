"""ViT as a system: an image classifier."""

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


class ViT(ClassifierSystem):
    """Images to classes."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        """The one training: AdamW, as transformers are trained."""
        chosen = {"learning_rate": 1e-3, "optimizer": "adamw", "weight_decay": 0.05}
        return [ClassifierStage(model, source, options, **chosen, betas=(0.9, 0.999))]


SYSTEM = ViT()
