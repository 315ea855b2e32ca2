"""Stories to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from .actions import pose_of
from .bodies import draw_figure
from .canvas import UNITS, Canvas, resolve
from .pose import Pose
from .props import PROPS
from .scenes import GROUND, SHADOWS, paint_scene
from .world import Story


def render(
    story: Story, times: Sequence[float] | np.ndarray, size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the moments `times`, in seconds.

    Returns frames, uint8 (T, size, size, 3), and their foreground mask, uint8 (T, size, size):
    255 wherever the actor, its props or its shadow touch a pixel, else 0. A frame depends on its
    own time only. Raises ValueError for a size below 1.
    """
    frames = np.empty((len(times), size, size, 3), np.uint8)
    masks = np.empty((len(times), size, size), np.uint8)
    for index, time in enumerate(times):
        frames[index], masks[index] = resolve(_draw(story, time, size))
    return frames, masks


def backdrop(story: Story, size: int = 64) -> np.ndarray:
    """The story's empty scene: uint8 (size, size, 3)."""
    return resolve(_scene(story.scene, story.variant, size))[0].copy()


@lru_cache(maxsize=32)
def _scene(scene: str, variant: int, size: int) -> Image.Image:
    return paint_scene(scene, variant, size)


def _draw(story: Story, time: float, size: int) -> Image.Image:
    image = _scene(story.scene, story.variant, size).copy()
    pose = pose_of(story, time)
    stage = Canvas.over(image).moved(UNITS / 2, GROUND)
    place = stage.moved(_offset(story), 0)
    _shadow(place, pose, story.scene)
    for prop in pose.behind:
        PROPS[prop.kind](stage.moved(prop.x, prop.y).turned(prop.angle), prop.amount)
    draw_figure(place, story.actor, pose)
    for prop in pose.around:
        PROPS[prop.kind](place.moved(prop.x, prop.y).turned(prop.angle), prop.amount)
    return image


def _offset(story: Story) -> int:
    """Actors that need the whole width of the frame stay closer to its middle."""
    wide = story.action in ("walking", "sofa", "sleeping", "dancing", "playing")
    return round(story.offset_x / 4) if wide else story.offset_x


def _shadow(place: Canvas, pose: Pose, scene: str) -> None:
    core, rim = SHADOWS[scene]
    near = 1.0 if pose.sitting else max(1 - pose.lift / 20, 0.3)
    width = near * (11.5 + 12.0 * pose.fall) * (2.2 if pose.sitting else 1.0)
    place.disc(pose.x, 0.5, width + 1.5, 3.0 * near + 0.8, rim)
    place.disc(pose.x, 0.5, width - 1.0, 2.4 * near, core)
