"""ViT: transformers for image recognition (Dosovitskiy et al. 2021, 2010.11929)."""

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
    """The one training: AdamW, as transformers are trained."""
    chosen = {"learning_rate": 1e-3, "optimizer": "adamw", "weight_decay": 0.05}
    return [ClassifierStage(model, source, options, **chosen, betas=(0.9, 0.999))]
