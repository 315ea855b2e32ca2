"""What is asked of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import UsageError

SHARED = ("frames", "fps", "size", "image", "last_image", "label")


@dataclass(frozen=True)
class Request:
    """What is asked for; None leaves a choice to the model.

    frames: how many; fps: playback rate, frames a second; size: (height, width) in pixels; image
    and last_image: pictures' files, the first frame and the last; label: a class by its name.
    settings: the model's own by name, as its `about` declares them.
    """

    prompt: str = ""
    seed: int = 0
    frames: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    image: str | None = None
    last_image: str | None = None
    label: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"the seed must not be negative, got {self.seed}")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"a clip has at least one frame, not {self.frames}")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"fps must be above zero, not {self.fps}")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"a frame has at least one pixel, not {self.size[1]}x{self.size[0]}")

    @classmethod
    def of(cls, prompt: str, seed: int, asked: Mapping[str, Any]) -> Request:
        """A request from one flat mapping, as receipts and flags have it."""
        shared = {name: value for name, value in asked.items() if name in SHARED}
        if shared.get("size") is not None:
            height, width = shared["size"]
            shared["size"] = (height, width)
        own = {name: value for name, value in asked.items() if name not in SHARED}
        return cls(prompt, seed, **shared, settings=own)

    def asked(self) -> dict[str, Any]:
        """What was asked beside prompt and seed, in one flat mapping."""
        named = {name: value for name, value in asdict(self).items() if name in SHARED}
        return {n: v for n, v in {**named, **self.settings}.items() if v is not None}
