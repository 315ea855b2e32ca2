"""What can happen in the menagerie: who does what, where and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

ACTORS = (
    "lion",
    "penguin",
    "cat",
    "dog",
    "elephant",
    "rabbit",
    "chick",
    "robot",
    "panda",
    "frog",
    "bear",
    "fox",
)
ACTIONS = (
    "drinking",
    "eating",
    "walking",
    "jumping",
    "sleeping",
    "dancing",
    "waving",
    "playing",
    "sofa",
    "spinning",
)
SCENES = ("savanna", "snow", "beach", "night", "room", "forest")
SPEEDS = ("slow", "fast")
VARIANTS = 3
CLIP_SECONDS = 4.0

# Pairs that training never sees: one in ten, one for each actor, at most two for an action.
HELD_OUT = frozenset(
    {
        ("lion", "waving"),
        ("penguin", "jumping"),
        ("cat", "sleeping"),
        ("dog", "dancing"),
        ("elephant", "sofa"),
        ("rabbit", "eating"),
        ("chick", "drinking"),
        ("robot", "playing"),
        ("panda", "walking"),
        ("frog", "spinning"),
        ("bear", "jumping"),
        ("fox", "dancing"),
    }
)

NAMES = {
    **{actor: actor for actor in ACTORS},
    **{action: action for action in ACTIONS},
    "playing": "playing ball",
    "sofa": "on a sofa",
    "savanna": "in the savanna",
    "snow": "in the snow",
    "beach": "on the beach",
    "night": "at night",
    "room": "in a room",
    "forest": "in the forest",
    "slow": "slowly",
    "fast": "quickly",
}

Choice = TypeVar("Choice")
_CHOICES = {"actor": ACTORS, "action": ACTIONS, "scene": SCENES, "speed": SPEEDS}


@dataclass(frozen=True)
class Story:
    """One clip: `offset_x` is in pixels of a 64-pixel frame, `variant` picks the scenery.

    The offset is whole, so that a pose looks the same wherever its actor stands.
    """

    actor: str
    action: str
    scene: str
    speed: str
    seed: int = 0
    offset_x: int = 0
    variant: int = 0

    def __post_init__(self) -> None:
        for slot in _CHOICES:
            _check(slot, getattr(self, slot))

    @property
    def period(self) -> float:
        """Seconds of one cycle of the action."""
        if self.action == "sleeping":  # speed only decides how soon the actor lies down
            return CLIP_SECONDS
        fast = CLIP_SECONDS / 2 if self.speed == "slow" else CLIP_SECONDS / 4
        return fast if self.action == "walking" else 2 * fast

    def phase(self, time: float) -> float:
        """Where in its cycle the action is after `time` seconds, in [0, 1)."""
        return time / self.period % 1.0

    def progress(self, time: float) -> float:
        """How far a walker has come, in [0, 1]: across the frame in one clip, then back again."""
        rounds = max(time, 0.0) / CLIP_SECONDS % 2.0
        return min(rounds, 2.0 - rounds)

    @property
    def repeats(self) -> float:
        """Seconds after which the same pictures come again: a walker has to come back first."""
        return 2 * CLIP_SECONDS if self.action == "walking" else self.period

    def returning(self, time: float) -> bool:
        """Whether a walker is on the way back."""
        return time > CLIP_SECONDS and time / CLIP_SECONDS % 2.0 > 1.0


def draw_story(seed: int, *, held_out: bool | None = False, **fixed: str) -> Story:
    """Draws a story; `fixed` pins its actor, action, scene or speed.

    held_out: False keeps to the pairs that training may see, True to the others, None to neither.
    Raises ValueError for an unknown name or when no story satisfies the request.
    """
    for slot, value in fixed.items():
        _check(slot, value)
    rng = np.random.default_rng(seed)
    actor, action = _pick(rng, _pairs(held_out, fixed))
    return Story(
        actor=actor,
        action=action,
        scene=fixed.get("scene") or _pick(rng, SCENES),
        speed=fixed.get("speed") or _pick(rng, SPEEDS),
        seed=seed,
        offset_x=int(rng.integers(-4, 5)),
        variant=int(rng.integers(VARIANTS)),
    )


def _pairs(held_out: bool | None, fixed: dict[str, str]) -> list[tuple[str, str]]:
    pairs = [
        (actor, action)
        for actor in ACTORS
        for action in ACTIONS
        if actor == fixed.get("actor", actor) and action == fixed.get("action", action)
        if held_out is None or held_out == ((actor, action) in HELD_OUT)
    ]
    if not pairs:
        asked = " ".join(fixed[slot] for slot in ("actor", "action") if slot in fixed)
        raise ValueError(f"held_out={held_out} leaves no story for {asked!r}")
    return pairs


def _check(slot: str, value: str) -> None:
    if slot not in _CHOICES:
        raise ValueError(f"a story has no {slot!r}; pin one of {', '.join(_CHOICES)}")
    if value not in _CHOICES[slot]:
        raise ValueError(f"no {slot} {value!r}; choose from {', '.join(_CHOICES[slot])}")


def _pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    return choices[int(rng.integers(len(choices)))]
