"""The recognizer as a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..system import System
from .about import ABOUT
from .config import PRESETS, Config
from .model import Model

if TYPE_CHECKING:
    from ...data import Source
    from ...training.options import TrainOptions
    from ...training.stage import Stage


class Recognizer(System):
    """It judges clips and makes none."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        """The one training. UsageError for data without labels."""
        from .training import RecognizerStage

        return [RecognizerStage(model, source, options)]


SYSTEM = Recognizer()
