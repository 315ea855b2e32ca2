"""CogView2 without PyTorch: its loop over exported graphs."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
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


def told(config: Any, reader: Vocabulary, clusters: np.ndarray) -> Any:
    """A model as the loops know it. UsageError for clusters that are not of its codes."""
    if clusters.shape != (config.codes,) or clusters.dtype.kind != "i":
        raise UsageError(f"tokenizer.clusters is {clusters.dtype} {list(clusters.shape)}, and not "
                         f"of {config.codes} codes")  # fmt: skip
    tokenizer = SimpleNamespace(clusters=clusters)
    return SimpleNamespace(config=config, reader=reader, tokenizer=tokenizer)


class CogView2Sampler(Sampler):
    """The clusters of codes are all that its draws read of the weights."""

    Config = Config
    tensors = ("tokenizer.clusters",)

    def model(self, config: Config, reader: Vocabulary, tensors: Mapping[str, np.ndarray]) -> Any:
        return told(config, reader, tensors["tokenizer.clusters"])

    def check(self, config: Config, request: Request, engine: str, gradients: bool) -> None:
        check(request)

    def held(self, whole: Any) -> Any:
        return whole.pictures

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        return sample(engine, model, request, on_progress)


SAMPLER = CogView2Sampler()
