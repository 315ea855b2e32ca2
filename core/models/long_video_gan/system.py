"""LongVideoGAN as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..system import System
from .about import ABOUT
from .config import PRESETS, Config
from .exported import constants, proofs
from .model import Model
from .moments import FREE, fitted, learnt
from .sample import check, sample

if TYPE_CHECKING:
    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..proof import Proof
    from ..published.parts import Published
    from ..request import Request


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

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request)

    def sample(
        self, engine: Engine, model: Model, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def published(self, *held: Any) -> Published | None:
        from .published import published

        return published(held)

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)


SYSTEM = LongVideoGan()
