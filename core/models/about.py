"""What a model is, told without loading it; each folder says so in its about.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from .settings import Settings, chosen

# What a generator may take, beside a seed, and the flag that gives it.
INPUTS = {
    "text": "PROMPT",
    "class": "--class",
    "picture": "--image",
    "last-picture": "--last-image",
    "size": "--size",
}
# What belongs to clips, whichever model makes them.
OF_CLIPS = {"frames": "--frames", "fps": "--fps"}


@dataclass(frozen=True)
class About:
    """takes: of INPUTS; gives: "clip" or "picture", None for a model that only judges.

    settings: what its sampler can be told. bundled: its weights' file in core/weights, if any.
    module: its folder, relative to this package.
    """

    name: str
    title: str
    task: str
    presets: tuple[str, ...]
    default_preset: str = "tiny"
    paper: str = ""
    takes: tuple[str, ...] = ()
    gives: str | None = None
    settings: type[Settings] = Settings
    bundled: str | None = None
    module: str = ""

    @property
    def text(self) -> bool:
        """Whether it reads a prompt."""
        return "text" in self.takes

    @property
    def generates(self) -> bool:
        """Whether it makes clips or pictures."""
        return self.gives is not None

    def check(self, asked: Mapping[str, Any]) -> None:
        """UsageError, with the flag to leave out, for what it has no use for, and for settings
        that its sampler lacks or does not take.

        asked: by name: image, last_image, class, size, frames, fps, and its own settings.
        """
        inputs = {"image": "picture", "last_image": "last-picture", "label": "class",
                  "size": "size"}  # fmt: skip
        for name, kind in inputs.items():
            if asked.get(name) is not None and kind not in self.takes:
                raise UsageError(
                    f"{self.name} takes no {kind.replace('-', ' ')}", f"leave {INPUTS[kind]} out"
                )
        for name, flag in OF_CLIPS.items():
            if asked.get(name) is not None and self.gives != "clip":
                raise UsageError(f"{self.name} makes no clips", f"leave {flag} out")
        own = {n: v for n, v in asked.items() if n not in inputs and n not in OF_CLIPS}
        chosen(self.name, self.settings, own)
