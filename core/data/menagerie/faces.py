"""Faces: eyes, muzzles, beaks and mouths, drawn over a skull about its middle."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas, Colour
from .looks import BLACK, WHITE, Look
from .pose import Pose
from .skulls import SIDES

THROAT: Colour = (150, 24, 44)
TONGUE: Colour = (248, 110, 128)
NOSE: Colour = (44, 28, 30)
SHUT = 0.3  # eyes this open, or less, are drawn as a closed lid


def _eyes(
    canvas: Canvas,
    pose: Pose,
    spread: float = 4.6,
    height: float = -2.6,
    radius: float = 3.0,
    iris: Colour | None = WHITE,
    lid: Colour = BLACK,
) -> None:
    """Two eyes; without an iris they are bold dark dots with a gleam."""
    for side in SIDES:
        x = spread * side
        if pose.eyes <= SHUT:
            canvas.curve((x - radius, height), (x, height + 2.6), (x + radius, height), 0.85, lid)
        elif iris is None:
            canvas.disc(x, height, radius * 0.8, radius * 0.95 * pose.eyes, BLACK)
            canvas.disc(x + 0.6, height - 1.0 * pose.eyes, 0.85, None, WHITE)
        else:
            dx, dy = 0.22 * pose.look[0], 0.3 * pose.look[1]
            canvas.disc(x, height, radius, radius * 1.1 * pose.eyes, iris)
            canvas.disc(x + dx, height + dy, radius * 0.6, radius * 0.7 * pose.eyes, BLACK)


def _mouth(canvas: Canvas, pose: Pose, y: float, width: float = 3.4) -> None:
    """A smile that opens into a red mouth."""
    if pose.mouth > 0.15:
        tall = 0.8 + 2.6 * pose.mouth
        canvas.disc(0, y + 0.5 * tall, width, tall, THROAT)
        canvas.disc(0, y + 0.9 * tall, width * 0.6, tall * 0.5, TONGUE)
    else:
        canvas.curve((-width, y - 0.4), (0, y + 2.4), (width, y - 0.4), 0.8, NOSE)


def _muzzle(canvas: Canvas, pose: Pose, colour: Colour, nose: Colour = NOSE) -> None:
    canvas.disc(0, 5.2, 6.4, 4.6, colour)
    _mouth(canvas, pose, 6.4)
    canvas.disc(0, 2.4, 2.6, 1.8, nose)


def _beak(canvas: Canvas, pose: Pose, look: Look) -> None:
    gap = 2.4 * pose.mouth
    if gap > 0.3:
        canvas.shape([(-3.6, 3 + gap), (3.6, 3 + gap), (0, 6.4 + gap)], (206, 96, 12))
        canvas.disc(0, 3 + 0.6 * gap, 3.0, 0.6 + 0.6 * gap, THROAT)
    canvas.shape([(-4.6, 2.6), (0, 0.2), (4.6, 2.6), (0, 6.2)], look.mark)


def _lion(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.2, -2.2, 2.7)
    _muzzle(canvas, pose, look.belly)


def _penguin(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.4, -2.4, 2.9, None)
    _beak(canvas, pose, look)


def _cat(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 5.2, -1.8, 3.3, (206, 236, 70))
    _muzzle(canvas, pose, look.belly, look.mark)


def _dog(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.6, -2.6, 2.8)
    canvas.disc(0, 5, 6.6, 5.2, look.belly)
    _mouth(canvas, pose, 6.8)
    canvas.disc(0, 2.2, 3.4, 2.4, BLACK)


def _elephant(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 5, -2.6, 2.8)
    if pose.mouth > 0.15:
        canvas.disc(0, 9, 3.8, 1 + 2 * pose.mouth, THROAT)
    tip = (-6.5, 12.5 - 3 * pose.mouth)
    canvas.disc(*tip, 2.7, None, look.fur, look.edge)
    canvas.curve((0, 0.5), (-0.5, 13.5), tip, 2.7, look.fur, look.edge)
    canvas.disc(0, 0.8, 3.6, 2.6, look.fur)
    canvas.disc(*tip, 2.4, None, look.fur)


def _rabbit(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.8, -1.6, 3.0, None)
    _mouth(canvas, pose, 6.0, 3.4)
    if pose.mouth > 0.15:
        canvas.box(-1.5, 5.6, 1.5, 7.4, WHITE)
    canvas.disc(0, 3.8, 2.3, 1.7, (240, 96, 136))
    for side in SIDES:
        canvas.disc(8 * side, 4.4, 2.5, 1.7, (255, 196, 210))


def _chick(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 5, -2, 3.0, None)
    _beak(canvas, pose, look)


def _robot(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.6, -2.3, 3.0, look.mark, look.mark)
    tall = 1.0 + 1.2 * pose.mouth
    canvas.box(-5.5, 6.4 - tall, 5.5, 6.4 + tall, look.hand, look.edge)


def _panda(canvas: Canvas, pose: Pose, look: Look) -> None:
    for side in SIDES:
        canvas.moved(5.2 * side, -1.4).turned(0.5 * side).disc(0, 0, 3.9, 5.0, look.mark)
    _eyes(canvas, pose, 4.9, -2, 2.1, lid=WHITE)
    _mouth(canvas, pose, 6.6, 3)
    canvas.disc(0, 3.6, 2.4, 1.7, BLACK)


def _frog(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 7, -8.6, 3.6, lid=look.edge)
    if pose.mouth > 0.15:
        canvas.disc(0, 4.2, 8, 1 + 2.8 * pose.mouth, THROAT)
        canvas.disc(0, 4.6 + 1.6 * pose.mouth, 5, 0.4 + 1.4 * pose.mouth, TONGUE)
    else:
        canvas.curve((-9.5, 1.5), (0, 8.5), (9.5, 1.5), 0.95, look.edge)


def _bear(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 4.8, -3, 2.7)
    _muzzle(canvas, pose, look.mark)


def _fox(canvas: Canvas, pose: Pose, look: Look) -> None:
    _eyes(canvas, pose, 5, -2, 2.7)
    _mouth(canvas, pose, 7.2, 2.8)
    canvas.disc(0, 5.2, 2.6, 2.0, BLACK)


FACES: dict[str, Callable[[Canvas, Pose, Look], None]] = {
    "lion": _lion,
    "penguin": _penguin,
    "cat": _cat,
    "dog": _dog,
    "elephant": _elephant,
    "rabbit": _rabbit,
    "chick": _chick,
    "robot": _robot,
    "panda": _panda,
    "frog": _frog,
    "bear": _bear,
    "fox": _fox,
}
