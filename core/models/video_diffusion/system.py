"""Video Diffusion as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary
from ..system import System, Usual
from .about import ABOUT
from .config import PRESETS, Config
from .exported import constants, proofs
from .model import Model
from .sample import check, sample, seams

if TYPE_CHECKING:
    from ...data import Source
    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...training.options import TrainOptions
    from ...training.stage import Stage
    from ..engine import Engine
    from ..proof import Proof
    from ..request import Request


class VideoDiffusion(System):
    """A base, its super-resolution, and the base distilled to few steps."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model

    def reader(self, config: Config, words: Sequence[str]) -> Vocabulary | Pretrained:
        """A closed vocabulary, or the published language model that the configuration names."""
        if config.encoder:
            return Pretrained(config.encoder, config.text_length)
        return Vocabulary(words)

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .distillation import DistillationStage
        from .training import BaseStage, UpsampleStage

        kinds = [BaseStage, UpsampleStage, *([DistillationStage] if model.fast else [])]
        return [make(model, source, options) for make in kinds]

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request, engine, gradients)

    def usual(self, config: Config) -> Usual:
        return Usual(config.clip_frames, config.clip_fps)

    def sample(
        self, engine: Engine, model: Model, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def seams(self, model: Model, frames: int) -> list[int]:
        return seams(model, frames)

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)


SYSTEM = VideoDiffusion()
