"""What samples a system's exported graphs where there is no PyTorch.

A model's folder that holds sampler.py, with SAMPLER, an instance of a subclass of `Sampler`, runs
in an environment of numpy and ONNX Runtime alone. It is the very loop of the system, and nothing in
it imports PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..text.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np

    from ..media.stream import Stream
    from ..progress import OnProgress
    from .engine import Engine
    from .request import Request


class Sampler(ABC):
    """tensors: the names of the weights that the loop reads beside its graphs."""

    Config: type
    tensors: tuple[str, ...] = ()

    def reader(self, config: Any, words: Sequence[str]) -> Vocabulary:
        """How prompts are read, as of `System.reader`. MissingCapability where that takes
        PyTorch."""
        return Vocabulary(words)

    @abstractmethod
    def model(self, config: Any, reader: Vocabulary, tensors: Mapping[str, np.ndarray]) -> Any:
        """What the loop takes for the model."""

    def held(self, whole: Any) -> Any:
        """As `System.held`, of a configuration."""
        raise TypeError("it is part of no other model")

    @abstractmethod
    def check(self, config: Any, request: Request, engine: str, gradients: bool) -> None:
        """As `System.check`."""

    @abstractmethod
    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        """As `System.sample`."""
