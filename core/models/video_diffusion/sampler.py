"""Video Diffusion without PyTorch: its loop over exported graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ...installed import without_torch
from ...text.vocabulary import Vocabulary
from ..sampler import Sampler
from .config import Config
from .sample import check, sample

if TYPE_CHECKING:
    import numpy as np

    from ...media.stream import Stream
    from ...progress import OnProgress
    from ..engine import Engine
    from ..request import Request


class VideoDiffusionSampler(Sampler):
    """All that it computes from are its graphs."""

    Config = Config

    def reader(self, config: Config, words: Sequence[str]) -> Vocabulary:
        if config.encoder:
            raise without_torch(f"the text encoder {config.encoder}")
        return Vocabulary(words)

    def model(self, config: Config, reader: Vocabulary, tensors: Mapping[str, np.ndarray]) -> Any:
        return SimpleNamespace(config=config, reader=reader)

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request, engine, gradients)

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)


SAMPLER = VideoDiffusionSampler()
