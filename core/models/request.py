"""What is asked of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import UsageError

# What is no setting of one model's sampler, and the flag that gives it.
SHARED = {
    "frames": "--frames",
    "fps": "--fps",
    "size": "--size",
    "image": "--image",
    "last_image": "--last-image",
    "label": "--class",
}
LEAST_FPS, MOST_FPS = 0.01, 1000.0  # what every container can tell


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
        if not _whole(self.seed) or self.seed < 0:
            raise UsageError(f"the seed is a whole number and not negative, not {self.seed!r}")
        if self.frames is not None and not (_whole(self.frames) and self.frames >= 1):
            raise UsageError(f"a clip has at least one frame, not {self.frames!r}")
        number = _whole(self.fps) or isinstance(self.fps, float)
        if self.fps is not None and not (number and LEAST_FPS <= self.fps <= MOST_FPS):
            raise UsageError(f"fps is from {LEAST_FPS:g} to {MOST_FPS:g}, not {self.fps!r}")
        if self.size is not None and not _is_size(self.size):
            raise UsageError(f"a size is the height and the width in pixels, not {self.size!r}")
        for name in ("image", "last_image", "label"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise UsageError(f"{name.replace('_', ' ')} is a name, not {value!r}")

    @classmethod
    def of(cls, prompt: str, seed: int, asked: Mapping[str, Any]) -> Request:
        """A request from one flat mapping, as receipts and flags have it."""
        shared = {name: value for name, value in asked.items() if name in SHARED}
        if isinstance(shared.get("size"), list):
            shared["size"] = tuple(shared["size"])
        own = {name: value for name, value in asked.items() if name not in SHARED}
        return cls(prompt, seed, **shared, settings=own)

    def asked(self) -> dict[str, Any]:
        """What was asked beside prompt and seed, in one flat mapping."""
        named = {name: value for name, value in asdict(self).items() if name in SHARED}
        return {n: v for n, v in {**named, **self.settings}.items() if v is not None}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, tuple) else ()
    return len(sides) == 2 and all(_whole(side) and side >= 1 for side in sides)
