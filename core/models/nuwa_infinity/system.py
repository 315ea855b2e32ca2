"""NUWA-Infinity as a system: its presets, networks, trainings and sampling loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...text.pretrained import Pretrained
from ...text.vocabulary import Vocabulary
from ..system import System
from .about import ABOUT
from .config import PRESETS, Config
from .exported import constants, proofs
from .grids import fitted
from .model import Model
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
    from ..request import Request

# Those of 2207.09814: how far a patch sees, whether the optimiser steps after each patch or each
# picture, and what tells the keys how far away they are; and one of ours, whether a code is told of
# those around it.
ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "no-pool": {"extent_frames": 0, "extent_rows": 0, "extent_columns": 0, "local": False},
    "extent-1": {"extent_frames": 1, "extent_rows": 1, "extent_columns": 1},
    "extent-2": {"extent_frames": 2, "extent_rows": 2, "extent_columns": 2},
    "step-a-picture": {"training": {"optimise": "picture"}},
    "shared-positions": {"positions": "vector"},
    "no-positions": {"positions": "none"},
    "not-local": {"local": False},
}


class NuwaInfinity(System):
    """Tokenizers, and the transformer that draws patch after patch."""

    about, Config, PRESETS, Model = ABOUT, Config, PRESETS, Model
    free = ("training",)
    ablations = ABLATIONS

    def fitted(self, config: Config, source: Source) -> dict[str, Any]:
        return fitted(config, source)

    def reader(self, config: Config, words: Sequence[str]) -> Vocabulary | Pretrained | None:
        """A closed vocabulary, or the published encoder that the configuration names; None for a
        model that reads no text."""
        if not config.text_length:
            return None
        if config.encoder:
            return Pretrained(config.encoder, config.text_length)
        return Vocabulary(words)

    def stages(self, model: Model, source: Source, options: TrainOptions) -> list[Stage]:
        from .training import stages

        return stages(model, source, options)

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request)

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)

    def side(self, model: Model) -> int:
        return model.config.side

    def reconstruct(self, model: Model, frames: np.ndarray) -> np.ndarray:
        return reconstructed(model, frames)

    def proofs(self, model: Model) -> list[Proof]:
        return proofs(model)

    def constants(self, model: Model) -> dict[str, Any]:
        return constants(model)


SYSTEM = NuwaInfinity()
