"""What a model is, told without loading it; each folder says so in its about.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError, closest
from .request import SHARED
from .settings import Settings, chosen

# What a generator may take, beside a seed, and as what a request has it.
INPUTS = {
    "text": "prompt",
    "class": "label",
    "picture": "image",
    "last-picture": "last_image",
    "video": "video",
    "size": "size",
    "extension": "extend",
}
OF_CLIPS = ("frames", "fps")  # whichever model makes them


@dataclass(frozen=True)
class About:
    """takes: of INPUTS; gives: "clip" or "picture", None for a model that only judges.

    stages: the names of its trainings, in order; () where they are not told here. data: what it
    learns from unless told. moving: whether one that gives pictures makes a clip where frames are
    asked for; wordless: whether one that reads a prompt does without, and learns without captions,
    too. settings: what its sampler can be told. captions: whether it tells in words what pictures
    show. bundled: its weights' file in core/weights, if any. within: another model whose weights
    may hold this one's too, and the field of its configuration that is there where they do.
    further: names of more weights that lie there, and the command that makes each. packages:
    others' packages that compute it, whose versions its clips and exports tell. module: its folder,
    relative to this package.
    """

    name: str
    title: str
    task: str
    presets: tuple[str, ...]
    default_preset: str = "tiny"
    data: str = "menagerie"
    stages: tuple[str, ...] = ()
    paper: str = ""
    takes: tuple[str, ...] = ()
    gives: str | None = None
    moving: bool = False
    wordless: bool = False
    settings: type[Settings] = Settings
    captions: bool = False
    bundled: str | None = None
    within: tuple[str, str] | None = None
    further: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    module: str = ""

    @property
    def text(self) -> bool:
        """Whether it reads a prompt."""
        return "text" in self.takes

    @property
    def generates(self) -> bool:
        """Whether it makes clips or pictures."""
        return self.gives is not None

    def made(self, asked: Mapping[str, Any]) -> str | None:
        """What comes of a request: "clip" or "picture", None for a model that only judges."""
        return "clip" if self.moving and asked.get("frames") is not None else self.gives

    def check_prompt(self, prompt: str) -> None:
        """UsageError where it makes nothing, lacks a prompt or would leave one unread."""
        if not self.generates:
            raise UsageError(f"{self.name} makes no clips: its task is {self.task}.",
                             "dln models list")  # fmt: skip
        if self.text and not self.wordless and not prompt.strip():
            raise UsageError(f"{self.name} needs a prompt.", 'dln generate "lion drinking"')
        if prompt.strip() and not self.text:
            raise UsageError(f"{self.name} reads no prompt.", "leave the prompt out")

    def check_training(self, preset: str | None, *stages: str) -> None:
        """UsageError for a preset or for stages that it does not have."""
        if preset is not None and preset not in self.presets:
            near = closest(preset, self.presets)
            raise UsageError(f"no preset '{preset}'.{near}", f"one of {', '.join(self.presets)}")
        for stage in filter(None, stages if self.stages else ()):
            if stage not in self.stages:
                hint = f"its stages are {', '.join(self.stages)}"
                raise UsageError(f"no stage '{stage}'.{closest(stage, self.stages)}", hint)

    def check(self, asked: Mapping[str, Any]) -> None:
        """UsageError, with the flag to leave out, for what it has no use for, and for settings
        that its sampler lacks or does not take.

        asked: by name: what requests share, and its own settings.
        """
        given = [name for name in SHARED if asked.get(name) is not None]
        for kind, name in INPUTS.items():
            if name in given and kind not in self.takes:
                raise UsageError(
                    f"{self.name} takes no {kind.replace('-', ' ')}", f"leave {SHARED[name]} out"
                )
        for name in OF_CLIPS:
            if name in given and self.made(asked) != "clip":
                if self.moving:
                    raise UsageError(f"without frames {self.name} makes a picture", "--frames 20")
                raise UsageError(f"{self.name} makes no clips", f"leave {SHARED[name]} out")
        own = {name: value for name, value in asked.items() if name not in SHARED}
        chosen(self.name, self.settings, own)
