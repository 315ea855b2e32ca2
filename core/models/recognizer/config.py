"""Sizes of the recognizer and the names that it tells apart."""

from dataclasses import dataclass

from ...data.menagerie import ACTIONS, ACTORS, SCENES, SPEEDS
from ...errors import UsageError
from ..fields import Checked, size

HEADS = ("actor", "action", "scene", "speed")
STILL = "still"


@dataclass(frozen=True)
class Config(Checked):
    """`frames` moments of a clip, `image_size` pixels a side; the names are the classes.

    The action "still" is that of a clip in which nothing moves: a painted glass is no drinking.
    """

    image_size: int = size(64, most=1024)
    frames: int = size(9, most=1024)
    width: int = size(160)  # numbers that stand for a frame
    trunk: tuple[int, int, int] = size((32, 64, 96))  # channels at 1/4, 1/8, 1/16 of the frame
    actors: tuple[str, ...] = ACTORS
    actions: tuple[str, ...] = (*ACTIONS, STILL)
    scenes: tuple[str, ...] = SCENES
    speeds: tuple[str, ...] = SPEEDS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % 16:
            raise UsageError(f"image_size must be a multiple of 16, not {self.image_size}")
        for name, classes in zip(
            ("actors", "actions", "scenes", "speeds"), self.names, strict=True
        ):
            if len(classes) < 2 or len(set(classes)) < len(classes):
                raise UsageError(f"{name} must be two or more different names, not {classes}")
        if STILL not in self.actions:
            raise UsageError(f"actions must have {STILL!r}, what a clip without motion shows")

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The classes of each of HEADS."""
        return self.actors, self.actions, self.scenes, self.speeds

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names behind the logits of each head."""
        return dict(zip(HEADS, self.names, strict=True))


PRESETS = {"tiny": Config()}
