"""The ten actions: phase in [0, 1) -> Pose.

Extremes lie at phases 0 and 1/2 and are held, so that one frame a second shows both of them
whether a cycle takes two seconds or four.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .pose import (
    FOOT_LEFT,
    FOOT_RIGHT,
    HAND_LEFT,
    HAND_RIGHT,
    MOUTH,
    Pose,
    Prop,
    bump,
    ease,
    mix,
    sway,
)
from .world import Story

TAU = 2 * math.pi
HOLDING = (15.5, -13.0)
SEAT = 6.8


def _drinking(phase: float) -> Pose:
    up = bump(phase, (0.05, 0.23), (0.76, 0.9))
    level = 1 - 0.9 * ease(phase, 0.2, 0.8) + 0.9 * ease(phase, 0.92, 1.0)
    hand = mix(HOLDING, (MOUTH[0] + 8.5, MOUTH[1] + 4.5), up)
    return Pose(
        tilt=-0.30 * up,
        look=(0.0, -1.2 * up),
        eyes=1 - up,
        hand_right=hand,
        held=Prop("glass", hand[0] - 1.0 * up, hand[1] - 2.0, -1.05 * up, level),
    )


def _eating(phase: float) -> Pose:
    up = bump(phase, (0.05, 0.2), (0.74, 0.9))
    chew = up * 0.5 * (1 - math.cos(TAU * 4 * phase))
    rest = 1 - 0.24 * sum(ease(phase, bite, bite + 0.08) for bite in (0.18, 0.4, 0.64))
    hand = mix(HOLDING, (MOUTH[0] + 8.0, MOUTH[1] + 3.5), up)
    return Pose(
        look=(0.6 * up, 0.8 * up),
        mouth=0.35 * up + 0.65 * chew,
        hand_right=hand,
        held=Prop(
            "apple", hand[0] - 1.5 * up, hand[1] - 4.5, 0, rest + 0.72 * ease(phase, 0.92, 1)
        ),
    )


def _walking(phase: float, progress: float, reach: float, heading: float) -> Pose:
    stride, swing = heading * math.cos(TAU * phase), math.sin(TAU * phase)
    return Pose(
        x=reach * (progress - 0.5),
        lift=1.2 * swing * swing,
        lean=0.05 * heading,
        look=(3.2 * heading, 0.0),
        hand_left=(-8.0 + 6.0 * stride, -9.0 - 2.0 * abs(stride)),
        hand_right=(8.0 - 6.0 * stride, -9.0 - 2.0 * abs(stride)),
        foot_left=(-1.5 - 7.0 * stride, -2.2 - 3.5 * max(swing, 0.0)),
        foot_right=(1.5 + 7.0 * stride, -2.2 - 3.5 * max(-swing, 0.0)),
    )


def _jumping(phase: float) -> Pose:
    up = bump(phase, (0.1, 0.4), (0.6, 0.9))
    crouch = bump(phase, (0.0, 0.06), (0.1, 0.22)) + bump(phase, (0.8, 0.92), (0.94, 1.0))
    return Pose(
        lift=10.5 * up,
        squash=0.16 * crouch - 0.05 * up,
        look=(0.0, -1.0 * up),
        mouth=0.8 * up,
        hand_left=mix(HAND_LEFT, (-16.5, -29.0), up),
        hand_right=mix(HAND_RIGHT, (16.5, -29.0), up),
        foot_left=mix(FOOT_LEFT, (-8.5, -2.5), up),
        foot_right=mix(FOOT_RIGHT, (8.5, -2.5), up),
    )


def _sleeping(phase: float, lies: tuple[float, float]) -> Pose:
    fall = bump(phase, lies, (0.9, 1.0))
    breath = 0.5 - 0.5 * math.cos(TAU * 2 * phase)
    rise = 3 * phase % 1.0
    letters = tuple(
        Prop("letter", -9.0 + 22 * step, -31.0 - 16 * step, amount=fall * (0.55 + 0.6 * step))
        for step in ((rise + place) / 3 for place in range(3))
    )
    return Pose(
        fall=fall,
        squash=0.05 * breath * fall,
        eyes=1 - ease(phase, lies[0] - 0.03, lies[0] + 0.02) + ease(phase, 0.95, 1.0),
        tilt=0.3 * fall,
        around=letters if fall > 0.6 else (),
    )


def _dancing(phase: float) -> Pose:
    side = sway(phase)  # 1 leans to the left
    left, right = max(side, 0.0), max(-side, 0.0)
    hop = abs(math.sin(TAU * phase))
    notes = (
        Prop("note", -23.5, -35.0 - 5.0 * side, amount=0.0),
        Prop("note", 22.5, -35.0 + 5.0 * side, amount=1.0),
    )
    return Pose(
        x=-3.5 * side,
        lift=1.5 * hop,
        lean=-0.17 * side,
        tilt=-0.16 * side,
        mouth=0.5,
        hand_left=mix((-14.0, -12.0), (-16.5, -30.0), left),
        hand_right=mix((14.0, -12.0), (16.5, -30.0), right),
        foot_left=(FOOT_LEFT[0] - 2.0 * right, FOOT_LEFT[1] - 4.0 * right),
        foot_right=(FOOT_RIGHT[0] + 2.0 * left, FOOT_RIGHT[1] - 4.0 * left),
        around=notes,
    )


def _waving(phase: float) -> Pose:
    angle = 0.6 + 0.38 * sway(phase)
    return Pose(
        tilt=0.10 * sway(phase),
        mouth=0.4,
        hand_right=(10.0 + 16.5 * math.sin(angle), -17.5 - 17.0 * math.cos(angle)),
    )


def _playing(phase: float) -> Pose:
    height = 4 * phase * (1 - phase)
    kick = bump(phase, (0.0, 0.12), (0.5, 0.85))
    ball = Prop("ball", 16.5 + 3.0 * height, -6.5 - 31.0 * height, TAU * phase)
    return Pose(
        lean=-0.10 * kick,
        look=(2.4, 1.5 - 3.0 * height),
        mouth=0.5 * height,
        hand_left=mix(HAND_LEFT, (-15.0, -17.0), kick),
        hand_right=mix(HAND_RIGHT, (13.0, -13.0), kick),
        foot_right=mix(FOOT_RIGHT, (12.0, -8.5), kick),
        around=(ball,),
    )


def _sofa(phase: float) -> Pose:
    up = bump(phase, (0.08, 0.42), (0.58, 0.92))
    return Pose(
        lift=SEAT + 4.0 * up,
        squash=0.07 * (1 - up) - 0.03 * up,
        mouth=0.25 + 0.6 * up,
        hand_left=mix((-12.5, -9.0), (-15.5, -24.0), up),
        hand_right=mix((12.5, -9.0), (15.5, -24.0), up),
        foot_left=(-6.5, 1.0),
        foot_right=(6.5, 1.0),
        sitting=True,
        behind=(Prop("sofa", amount=1 - up),),
    )


def _spinning(phase: float) -> Pose:
    turn = TAU * phase - 0.35 * math.sin(2 * TAU * phase)
    return Pose(
        turn=turn,
        lift=1.0 - math.cos(2 * turn),
        mouth=0.4,
        hand_left=(-15.5, -17.0),
        hand_right=(15.5, -17.0),
    )


_PLAIN: dict[str, Callable[[float], Pose]] = {
    "drinking": _drinking,
    "eating": _eating,
    "jumping": _jumping,
    "dancing": _dancing,
    "waving": _waving,
    "playing": _playing,
    "sofa": _sofa,
    "spinning": _spinning,
}


def pose_of(story: Story, time: float) -> Pose:
    """The actor's pose after `time` seconds."""
    phase, slow = story.phase(time), story.speed == "slow"
    if story.action == "walking":
        heading = -1.0 if story.returning(time) else 1.0
        return _walking(phase, story.progress(time), 20.0 if slow else 27.0, heading)
    if story.action == "sleeping":
        return _sleeping(phase, (0.1, 0.3) if slow else (0.03, 0.16))
    return _PLAIN[story.action](phase)
