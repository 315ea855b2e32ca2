"""StyleGAN-V as a system: its presets, networks, training and sampling loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.excerpts import watched
from ..system import System
from .about import ABOUT
from .config import PRESETS, Config
from .exported import constants, proofs
from .growth import inherited
from .model import Model
from .moments import FREE, fitted
from .sample import check, sample

if TYPE_CHECKING:
    from torch import Tensor

    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..proof import Proof
    from ..published.parts import Published
    from ..request import Request


class StyleGanV(System):
    """A generator of videos, and the discriminator that it learns against."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model
    free = FREE

    def fitted(self, config: Config, source: Source) -> dict[str, Any]:
        return fitted(config, source)

    def learnt(self, model: Model, source: Source) -> Source:
        return watched(source, model.config.fps, model.config.longest_span)

    def inherited(self, model: Model, start: Model) -> dict[str, Tensor]:
        return inherited(model, start)

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .training import AdversarialStage

        return [AdversarialStage(model, source, options)]

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request, engine, gradients)

    def sample(
        self, engine: Engine, model: Model, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def published(self, *held: Any) -> Published | None:
        from .published import published

        return published(held[0]) if len(held) == 1 else None

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)


SYSTEM = StyleGanV()
