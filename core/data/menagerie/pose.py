"""How a body is held at one moment, and the easing that moves it there.

Positions are body coordinates: 64ths of the frame, the origin on the ground between the feet, y
pointing down. Angles are radians, clockwise on the screen. "Right" is the right of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .canvas import Point

SHOULDER: Point = (7.5, -18.5)
HIP: Point = (4.2, -7.5)
NECK: Point = (0.0, -21.0)
HEAD_RISE = 10.5  # from the neck to the middle of the head
MOUTH: Point = (0.0, -26.5)

HAND_LEFT: Point = (-11.5, -9.5)
HAND_RIGHT: Point = (11.5, -9.5)
FOOT_LEFT: Point = (-5.0, -2.2)
FOOT_RIGHT: Point = (5.0, -2.2)


@dataclass(frozen=True)
class Prop:
    """A thing at (x, y); `amount` is what is left of it, or how far it has come."""

    kind: str
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    amount: float = 1.0


@dataclass(frozen=True)
class Pose:
    """The whole figure; the defaults stand at rest and face the viewer."""

    x: float = 0.0
    lift: float = 0.0  # height over the ground
    lean: float = 0.0  # of the whole body, about the feet
    squash: float = 0.0  # > 0 flattens
    turn: float = 0.0  # about the vertical axis; half a turn shows the back
    fall: float = 0.0  # 1 lies on the ground
    tilt: float = 0.0  # of the head
    look: Point = (0.0, 0.0)  # shift of the features on the face
    eyes: float = 1.0  # 0 closed
    mouth: float = 0.0  # 1 wide open
    hand_left: Point = HAND_LEFT
    hand_right: Point = HAND_RIGHT
    foot_left: Point = FOOT_LEFT
    foot_right: Point = FOOT_RIGHT
    sitting: bool = False
    held: Prop | None = None  # in the right hand, drawn before the face
    behind: tuple[Prop, ...] = ()  # fixed to the stage
    around: tuple[Prop, ...] = ()  # fixed to the place where the actor stands


def ease(value: float, start: float, stop: float) -> float:
    """0 before `start`, 1 after `stop`, smooth in between."""
    x = min(max((value - start) / (stop - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def bump(phase: float, up: tuple[float, float], down: tuple[float, float]) -> float:
    """Rises during `up`, holds 1, falls during `down`."""
    return ease(phase, *up) - ease(phase, *down)


def sway(phase: float) -> float:
    """A cosine that lingers at its extremes: 1 at phase 0, -1 at one half."""
    return math.sin(math.pi / 2 * math.cos(2 * math.pi * phase))


def mix(start: Point, stop: Point, part: float) -> Point:
    """The point `part` of the way from `start` to `stop`."""
    return (start[0] + (stop[0] - start[0]) * part, start[1] + (stop[1] - start[1]) * part)
