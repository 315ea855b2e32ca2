"""CogVideo without PyTorch: its loop over exported graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..cogview2.sampler import told
from ..sampler import Sampler
from .config import Config
from .sample import check, sample

if TYPE_CHECKING:
    import numpy as np

    from ...media.stream import Stream
    from ...progress import OnProgress
    from ...text.vocabulary import Vocabulary
    from ..engine import Engine
    from ..request import Request


class CogVideoSampler(Sampler):
    """The clusters of codes are all that its draws read of the weights."""

    Config = Config
    tensors = ("tokenizer.clusters",)

    def model(self, config: Config, reader: Vocabulary, tensors: Mapping[str, np.ndarray]) -> Any:
        return told(config, reader, tensors["tokenizer.clusters"])

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(config, request)

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)


SAMPLER = CogVideoSampler()
