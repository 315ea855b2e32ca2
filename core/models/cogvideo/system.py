"""CogVideo as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..system import System, Usual
from .about import ABOUT
from .config import PRESETS, Config
from .exported import constants, proofs
from .model import Model
from .sample import between, check, rates, reconstructed, sample

if TYPE_CHECKING:
    import numpy as np

    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..proof import Proof
    from ..request import Request


class CogVideo(System):
    """Tokenizer, backbone, key frames, interpolation."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model
    free = "window", "given", "points"

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .training import stages

        return stages(model, source, options)

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request)

    def usual(self, config: Config) -> Usual:
        frames = config.most_frames
        return Usual(frames, (frames - 1) / config.clip_seconds, frames)

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def rates(self, model: Model) -> list[float]:
        return rates(model.config)

    def between(
        self, engine: Engine, model: Model, request: Request, known: np.ndarray, fps: float
    ) -> np.ndarray:
        return between(engine, model, request, known, fps)

    def reconstruct(self, model: Model, frames: np.ndarray) -> np.ndarray:
        return reconstructed(model, frames)

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)


SYSTEM = CogVideo()
