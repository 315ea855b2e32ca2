"""LongVideoGAN as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..system import System
from .about import ABOUT
from .config import PRESETS, Config
from .model import Model
from .moments import FREE, fitted, learnt

if TYPE_CHECKING:
    from ...data import Source
    from ...training.options import TrainOptions
    from ...training.stage import Stage


class LongVideoGan(System):
    """A generator of small frames, one that makes them large, and their discriminators."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model
    free = FREE

    def fitted(self, config: Config, source: Source) -> dict[str, Any]:
        return fitted(config, source)

    def learnt(self, model: Model, source: Source) -> Source:
        return learnt(model.config, source)

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .training import STAGES

        return [make(model, source, options) for make in STAGES]


SYSTEM = LongVideoGan()
