"""CogView2 as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.pixels import to_numbers
from ..system import System
from .about import ABOUT
from .captions import caption
from .config import PRESETS, Config
from .exported import constants, proofs
from .model import Model
from .published import published
from .sample import check, reconstructed, sample

if TYPE_CHECKING:
    import numpy as np

    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..proof import Proof
    from ..published.parts import Published
    from ..request import Request


class CogView2(System):
    """Tokenizer, CogLM, direct and iterative super-resolution."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model
    free = ("training",)

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .training import STAGES

        return [make(model, source, options) for make in STAGES]

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(request)

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def held(self, whole: Any) -> Any:
        return whole.pictures

    def reconstruct(self, model: Model, frames: np.ndarray) -> np.ndarray:
        return reconstructed(model, frames)

    def caption(self, engine: Engine, model: Any, frames: np.ndarray) -> str:
        return caption(engine, model, to_numbers(frames))

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)

    def published(self, *held: Any) -> Published | None:
        return published(held)


SYSTEM = CogView2()
