"""A whole figure from its pose: legs, tail, torso, arms and head, back to front."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Point
from .faces import FACES
from .looks import BLACK, LOOKS, WHITE, Look
from .pose import HEAD_RISE, HIP, NECK, SHOULDER, Pose, Prop
from .props import PROPS
from .skulls import SKULLS

ARM = 2.4
LEG = 2.8
RAISED = -20.0  # hands above this height are in front of the head
LYING_AXIS = 12.5  # height of the body's axis over the ground when it lies
HALF_LENGTH = 22.0


def draw_figure(place: Canvas, actor: str, pose: Pose) -> None:
    """Draws an actor; the origin of `place` is the ground it stands on."""
    look, back = LOOKS[actor], math.cos(pose.turn) < 0
    body = _stance(place, pose)
    if not back:
        _tail(body, actor, look)
    if not pose.sitting:
        _legs(body, pose, look)
    _torso(body, actor, look, back)
    if pose.sitting:
        _legs(body, pose, look)
    if back:
        _tail(body, actor, look)
    _arms(body, pose, look, raised=False)
    _head(body, actor, pose, look, back)
    _arms(body, pose, look, raised=True)
    if pose.held is not None:
        _hold(body, pose, pose.held, look)


def _stance(place: Canvas, pose: Pose) -> Canvas:
    """Body coordinates: where the feet are and which way is up."""
    fall = pose.fall
    body = place.moved(pose.x + HALF_LENGTH * fall, -pose.lift - LYING_AXIS * fall)
    body = body.turned(pose.lean - math.pi / 2 * fall)
    width = max(abs(math.cos(pose.turn)), 0.42)
    return body.stretched(width * (1 + 0.6 * pose.squash), 1 - pose.squash)


def _legs(body: Canvas, pose: Pose, look: Look) -> None:
    for side, foot in ((-1, pose.foot_left), (1, pose.foot_right)):
        hip = (HIP[0] * side, HIP[1])
        knee = ((hip[0] + foot[0]) / 2 + 1.0 * side, (hip[1] + foot[1]) / 2)
        body.curve(hip, knee, foot, LEG, look.thigh, look.edge)
        body.disc(foot[0] + 0.6 * side, foot[1], 3.9, 2.2, look.foot, look.edge)


def _arms(body: Canvas, pose: Pose, look: Look, raised: bool) -> None:
    """The arms that are raised, which hide the head, or those that are not."""
    for side, hand in ((-1, pose.hand_left), (1, pose.hand_right)):
        if (hand[1] < RAISED) == raised:
            _arm(body, look, side, hand)


def _arm(body: Canvas, look: Look, side: int, hand: Point) -> None:
    shoulder = (SHOULDER[0] * side, SHOULDER[1])
    elbow = ((shoulder[0] + hand[0]) / 2 + 2.5 * side, (shoulder[1] + hand[1]) / 2 + 1.5)
    body.curve(shoulder, elbow, hand, ARM, look.arm, look.edge)
    body.disc(*hand, 3.2, None, look.hand, look.edge)
    body.disc(*shoulder, ARM, None, look.arm)


def _hold(body: Canvas, pose: Pose, held: Prop, look: Look) -> None:
    """The thing in the right hand, and the fingers around it."""
    PROPS[held.kind](body.moved(held.x, held.y).turned(held.angle), held.amount)
    body.disc(pose.hand_right[0] + 2.0, pose.hand_right[1] + 2.0, 2.6, None, look.hand, look.edge)


def _head(body: Canvas, actor: str, pose: Pose, look: Look, back: bool) -> None:
    head = body.moved(*NECK).turned(pose.tilt).moved(0, -HEAD_RISE)
    SKULLS[actor](head, look, back)
    if not back:
        slide = 5.0 * math.sin(pose.turn)
        FACES[actor](head.moved(pose.look[0] + slide, pose.look[1]), pose, look)


def _torso(body: Canvas, actor: str, look: Look, back: bool) -> None:
    if actor == "robot":
        body.box(-8.5, -22, 8.5, -5.5, look.fur, look.edge)
        if not back:
            body.box(-5.8, -17, 5.8, -9, look.belly)
            for x, colour in ((-3, (90, 235, 110)), (3, (255, 190, 40))):
                body.disc(x, -13, 1.9, None, colour)
        return
    body.disc(0, -14, 9.4, 9.8, look.fur, look.edge)
    if actor == "panda":
        body.disc(0, -19.5, 9.2, 4.6, BLACK)
    if not back:
        body.disc(0, -12.5, 6.4, 7.2, look.belly)


def _lion_tail(body: Canvas, look: Look) -> None:
    body.curve((-5, -8), (-17, -4), (-15.5, -15), 1.5, look.fur, look.edge)
    body.disc(-15.5, -16.5, 2.9, 3.4, look.mark, look.edge)


def _cat_tail(body: Canvas, look: Look) -> None:
    body.curve((-5, -7), (-19, -2), (-15.5, -19), 2.0, look.fur, look.edge)
    body.disc(-15.5, -19, 2.0, None, look.hand)


def _fox_tail(body: Canvas, look: Look) -> None:
    tail = body.moved(-13, -10.5).turned(-0.5)
    tail.disc(0, 0, 4.8, 9.0, look.fur, look.edge)
    tail.disc(0, -6.0, 3.5, 3.6, WHITE)


def _dog_tail(body: Canvas, look: Look) -> None:
    body.curve((-6, -8), (-13, -8), (-15, -15), 1.9, look.mark, look.edge)


def _puff(body: Canvas, look: Look) -> None:
    body.disc(-9, -7.5, 3.6, None, look.fur, look.edge)


_TAILS: dict[str, Callable[[Canvas, Look], None]] = {
    "lion": _lion_tail,
    "cat": _cat_tail,
    "fox": _fox_tail,
    "dog": _dog_tail,
    "rabbit": _puff,
}


def _tail(body: Canvas, actor: str, look: Look) -> None:
    if actor in _TAILS:
        _TAILS[actor](body, look)
