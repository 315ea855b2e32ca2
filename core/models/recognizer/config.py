"""Sizes of the recognizer and the names that it tells apart."""

from dataclasses import dataclass
from typing import Any

from ...data.menagerie import ACTIONS, ACTORS, SCENES, SPEEDS
from ...data.vistas import PLACES, SEASONS, TIMES, WEATHERS
from ...errors import UsageError
from ..fields import Checked, limited, size

# What is told of a clip, and the field that names its classes.
FIELDS = {
    "actor": "actors", "action": "actions", "scene": "scenes", "speed": "speeds",
    "place": "places", "season": "seasons", "weather": "weathers", "time": "times",
    "hour": "hours", "held": "things", "left": "shares",
}  # fmt: skip
MOVING = ("action", "speed")  # what no single frame shows
STILL = "still"
THINGS = ("nothing", "glass", "apple")  # in the hand of an actor
SHARES = tuple(f"{part} %" for part in range(0, 101, 10))  # of what is left in it, or of it


def later(default: Any) -> Any:
    """The classes of a head that older files have not."""
    return limited(default, unsaid=[])


@dataclass(frozen=True)
class Config(Checked):
    """`frames` moments of a clip, `image_size` pixels a side; the names are the classes of each
    head, and a head without names is left out.

    The action "still" is that of a clip in which nothing moves: a painted glass is no drinking.
    The hours are names for equal parts of the day, midnight in the middle of the first; the shares
    stand at equal distances, from nothing to all.
    """

    image_size: int = size(64, most=1024)
    frames: int = size(9, most=1024)
    width: int = size(160)  # numbers that stand for a frame
    trunk: tuple[int, int, int] = size((32, 64, 96))  # channels at 1/4, 1/8, 1/16 of the frame
    actors: tuple[str, ...] = ACTORS
    actions: tuple[str, ...] = (*ACTIONS, STILL)
    scenes: tuple[str, ...] = SCENES
    speeds: tuple[str, ...] = SPEEDS
    places: tuple[str, ...] = later(())
    seasons: tuple[str, ...] = later(())
    weathers: tuple[str, ...] = later(())
    times: tuple[str, ...] = later(())
    hours: tuple[str, ...] = later(())
    things: tuple[str, ...] = later(())
    shares: tuple[str, ...] = later(())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % 16:
            raise UsageError(f"image_size must be a multiple of 16, not {self.image_size}")
        for head, classes in self.classes.items():
            if len(classes) < 2 or len(set(classes)) < len(classes):
                name = FIELDS[head]
                raise UsageError(f"{name} must be two or more different names, not {classes}")
        if self.actions and STILL not in self.actions:
            raise UsageError(f"actions must have {STILL!r}, what a clip without motion shows")
        if not self.classes:
            raise UsageError(f"one of {', '.join(FIELDS.values())} must have names")

    @property
    def heads(self) -> tuple[str, ...]:
        """What is told of a clip, in the order of the labels."""
        return tuple(self.classes)

    @property
    def moving(self) -> bool:
        """Whether some of it only several frames show."""
        return any(head in self.classes for head in MOVING)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names behind the logits of each head."""
        named = {head: getattr(self, field) for head, field in FIELDS.items()}
        return {head: names for head, names in named.items() if names}


# Of each world that a recognizer is taught, the classes; the first is the one of the presets.
WORLDS: dict[str, dict[str, tuple[str, ...]]] = {
    "menagerie": {
        "actors": ACTORS, "actions": (*ACTIONS, STILL), "scenes": SCENES, "speeds": SPEEDS,
    },
    "vistas": {
        "places": PLACES, "seasons": SEASONS, "weathers": WEATHERS, "times": TIMES,
        "hours": tuple(map(str, range(24))),
    },
}  # fmt: skip
PRESETS = {
    "tiny": Config(),
    "props": Config(
        frames=1, actors=(), actions=(), scenes=(), speeds=(), things=THINGS, shares=SHARES
    ),
}


def names_of(world: str) -> dict[str, tuple[str, ...]]:
    """The fields of the configuration that a world decides: the names of all heads. KeyError for a
    world that is not among WORLDS."""
    return dict.fromkeys(FIELDS.values(), ()) | WORLDS[world]
