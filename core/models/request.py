"""What is asked of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from reprlib import repr as short
from typing import Any

from ..errors import UsageError
from ..media.rates import LEAST_FPS, MOST_FPS

# What is no setting of one model's sampler, and the flag that gives it.
SHARED = {
    "frames": "--frames",
    "fps": "--fps",
    "size": "--size",
    "image": "--image",
    "last_image": "--last-image",
    "extend": "--extend",
    "video": "--video",
    "label": "--class",
}
FILES = ("image", "last_image", "video")  # of these, what names a file
SIDES = ("left", "right", "up", "down")  # on which a picture is extended
MOST_SEED = 2**64 - 1
MOST_FRAMES = 1_000_000  # a day and a half at 8 a second
MOST_SIDE = 16_384  # pixels; encoders take no more
MOST_LETTERS = 10_000  # of a prompt


@dataclass(frozen=True)
class Request:
    """What is asked for; None leaves a choice to the model.

    frames: how many; fps: playback rate, frames a second; size: (height, width) in pixels; image
    and last_image: pictures' files, the first frame and the last; extend: pixels by which the first
    is extended, by the name of the side; video: a clip's file, which is made larger; label: a class
    by its name.
    drift: how far the noise of a picture has gone from its seed's own, as in models.noise.
    settings: the model's own by name, as its `about` declares them.
    """

    prompt: str = ""
    seed: int = 0
    frames: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    image: str | None = None
    last_image: str | None = None
    extend: Mapping[str, int] | None = None
    video: str | None = None
    label: str | None = None
    drift: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _whole(self.seed, 0, MOST_SEED):
            raise UsageError(f"a seed is a whole number from 0 to 2^64 - 1, not {short(self.seed)}")
        if self.frames is not None and not _whole(self.frames, 1, MOST_FRAMES):
            most = f"{MOST_FRAMES:,}"
            raise UsageError(f"a clip has from one frame to {most}, not {short(self.frames)}")
        number = isinstance(self.fps, int | float) and not isinstance(self.fps, bool)
        if self.fps is not None and not (number and LEAST_FPS <= self.fps <= MOST_FPS):
            raise UsageError(f"fps is from {LEAST_FPS:g} to {MOST_FPS:g}, not {short(self.fps)}")
        if self.size is not None and not _is_size(self.size):
            raise UsageError(
                f"a size is the height and the width in pixels, each at most {MOST_SIDE:,}, "
                f"not {short(self.size)}"
            )
        if self.extend is not None:
            _check_extension(self.extend)
        if len(self.prompt) > MOST_LETTERS:
            count = len(self.prompt)
            raise UsageError(f"a prompt has at most {MOST_LETTERS:,} letters, not {count:,}")
        for name in ("prompt", "label", *FILES):
            if (value := getattr(self, name)) is not None:
                _check_text(name.replace("_", " "), value)

    @classmethod
    def of(cls, prompt: str, seed: int, asked: Mapping[str, Any]) -> Request:
        """A request from one flat mapping, as receipts and flags have it."""
        shared = {name: value for name, value in asked.items() if name in SHARED}
        if isinstance(shared.get("size"), list):
            shared["size"] = tuple(shared["size"])
        own = {n: v for n, v in asked.items() if n not in SHARED and v is not None}
        return cls(prompt, seed, **shared, settings=own)

    def asked(self) -> dict[str, Any]:
        """What was asked beside prompt and seed, in one flat mapping."""
        named = {name: value for name, value in asdict(self).items() if name in SHARED}
        return {n: v for n, v in {**named, **self.settings}.items() if v is not None}


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_text(name: str, value: Any) -> None:
    """UsageError for what no receipt can hold."""
    if not isinstance(value, str):
        raise UsageError(f"the {name} is text, not {short(value)}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UsageError(f"the {name} {short(value)} is no text: it has bytes that are no UTF-8")


def _check_extension(value: Any) -> None:
    """UsageError for what says not by how many pixels which sides are extended."""
    known = isinstance(value, Mapping) and {*value} <= {*SIDES}
    if not known or not all(_whole(pixels, 0, MOST_SIDE) for pixels in value.values()):
        raise UsageError(
            f"an extension says of {', '.join(SIDES)} by how many pixels, each at most "
            f"{MOST_SIDE:,}, not {short(value)}"
        )
    if not any(value.values()):
        raise UsageError("an extension by no pixel at all changes nothing", "--extend right=256")


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, tuple) else ()
    return len(sides) == 2 and all(_whole(side, 1, MOST_SIDE) for side in sides)
