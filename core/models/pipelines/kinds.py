"""The kinds of pipelines that are known here: what differs from one to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine import Engine
    from ..graph import Graph


class Kind(ABC):
    """One class of pipelines at diffusers. masked: whether its text encoder is told which tokens
    are there."""

    masked: bool

    @abstractmethod
    def length(self, pipe: Any) -> int:
        """Tokens of a prompt."""

    @abstractmethod
    def graphs(self, pipe: Any) -> list[Graph]:
        """Its text encoder, denoisers and decoders."""

    @abstractmethod
    def latents(self, pipe: Any, frames: int, rows: int, columns: int) -> tuple[int, ...]:
        """The shape of the noise that a clip of so many latent frames begins with."""

    @abstractmethod
    def inputs(self, network: Any, given: dict[str, Any]) -> dict[str, Tensor]:
        """What a denoiser's graph takes in. given: what the pipeline calls that network with, by
        name; of the time, that of one clip, in float32."""

    def paced(self, fps: float) -> dict[str, Any]:
        """What the pipeline's call is told of the frames a second."""
        return {}

    @abstractmethod
    def decode(self, engine: Engine, z: Tensor, *rest: Any) -> Tensor:
        """z: (1, C, F, h, w), as the pipeline calls its decoder -> (1, 3, T, H, W)."""
