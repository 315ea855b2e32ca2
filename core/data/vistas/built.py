"""What people have built: houses, a church, boats, a lighthouse, fences, poles, hay."""

from __future__ import annotations

from numpy.random import Generator

from .sketch import Sketch


def house(draw: Sketch, rng: Generator) -> None:
    """0 roof, 1 walls, 2 walls in shade, 3 door and window panes: a gable, and a long side."""
    eaves, ridge = rng.uniform(0.42, 0.5), rng.uniform(0.82, 0.92)
    gable, end = -0.2 + 0.1 * rng.random(), 0.68
    middle = (-0.68 + gable) / 2
    draw.block(3, 0.28, 0.7, 0.38, 1.0, -0.2)  # chimney
    draw.block(2, gable, 0, end, eaves, -0.55)
    draw.shape(1, [(-0.68, 0), (gable, 0), (gable, eaves), (middle, ridge), (-0.68, eaves)], 0.45)
    draw.shape(0, [(middle - 0.03, ridge + 0.05), (end - 0.16, ridge + 0.05),
                   (end + 0.06, eaves - 0.04), (gable + 0.05, eaves - 0.04)], 0.05)  # fmt: skip
    draw.shape(0, [(middle - 0.03, ridge + 0.05), (middle, ridge - 0.05), (-0.68, eaves - 0.08),
                   (-0.75, eaves - 0.06)], 0.6)  # fmt: skip
    draw.window(3, middle - 0.09, 0.16, middle + 0.09, 0.36)
    for left in (gable + 0.1, gable + 0.62):
        draw.window(3, left, 0.15, left + 0.17, 0.33)
    draw.block(3, gable + 0.38, 0, gable + 0.52, 0.3)


def church(draw: Sketch, rng: Generator) -> None:
    """0 roof, 1 walls, 2 walls in shade, 3 windows: a nave, and a tower with its spire."""
    draw.block(2, -0.1, 0, 0.42, 0.3, -0.4)
    draw.shape(0, [(-0.1, 0.48), (0.36, 0.48), (0.46, 0.28), (-0.1, 0.28)], 0.05)
    draw.block(1, -0.24, 0, 0.0, 0.56, 0.3)
    draw.block(2, -0.08, 0, 0.0, 0.56, -0.5)
    draw.shape(0, [(-0.27, 0.55), (0.03, 0.55), (-0.12, 1.0)], 0.1)
    draw.tone([(-0.12, 0.55), (0.03, 0.55), (-0.12, 1.0)], -0.5)
    draw.window(3, -0.2, 0.38, -0.13, 0.49)
    for left in (0.06, 0.18, 0.3):
        draw.window(3, left, 0.08, left + 0.06, 0.22)


def cabin(draw: Sketch, rng: Generator) -> None:
    """0 roof, 1 timber, 2 timber in shade, 3 window."""
    draw.block(2, 0.1, 0, 0.6, 0.4, -0.5)
    draw.shape(1, [(-0.6, 0), (0.1, 0), (0.1, 0.4), (-0.25, 0.9), (-0.6, 0.4)], 0.4)
    draw.shape(0, [(-0.28, 0.98), (0.42, 0.98), (0.72, 0.36), (0.1, 0.36)], 0.0)
    draw.shape(0, [(-0.28, 0.98), (-0.25, 0.84), (-0.62, 0.3), (-0.72, 0.34)], 0.6)
    draw.window(3, -0.36, 0.15, -0.12, 0.38)
    draw.window(3, 0.28, 0.14, 0.44, 0.3)


def boat(draw: Sketch, rng: Generator) -> None:
    """0 sail, 1 sail in the light, 2 hull."""
    draw.shape(2, [(-0.36, 0.14), (0.4, 0.14), (0.28, 0.0), (-0.26, 0.0)], -0.2)
    draw.stroke(2, (0, 0.1), (0, 1.0), 0.025)
    draw.shape(1, [(-0.03, 0.97), (-0.03, 0.2), (-0.34, 0.2)], 0.5)
    draw.shape(0, [(0.03, 0.9), (0.03, 0.2), (0.3, 0.22)], -0.2)


def lighthouse(draw: Sketch, rng: Generator) -> None:
    """0 red, 1 white, 2 stone, 3 glass."""
    draw.shape(2, [(-0.2, 0), (0.2, 0), (0.15, 0.06), (-0.15, 0.06)], -0.3)
    for band in range(5):
        low, high = 0.06 + 0.14 * band, 0.06 + 0.14 * (band + 1)
        wide, thin = 0.13 - 0.055 * low, 0.13 - 0.055 * high
        draw.shape(1 - band % 2, [(-wide, low), (wide, low), (thin, high), (-thin, high)], 0.4)
        draw.tone([(0.15 * wide, low), (wide, low), (thin, high), (0.15 * thin, high)], -0.5)
    draw.block(2, -0.12, 0.76, 0.12, 0.79, 0)
    draw.window(3, -0.065, 0.79, 0.065, 0.89)
    draw.shape(0, [(-0.09, 0.89), (0.09, 0.89), (0, 0.99)], 0.1)


def hay(draw: Sketch, rng: Generator) -> None:
    """0 straw, 1 straw in the light."""
    draw.disc(0, 0, 0.42, 0.6, 0.56, -0.5)
    draw.block(0, -0.6, 0, 0.6, 0.4, -0.4)
    draw.disc(1, -0.14, 0.5, 0.4, 0.38, 0.5)


def fence(draw: Sketch, rng: Generator) -> None:
    """2 wood."""
    for x in range(-4, 5):
        draw.block(2, x - 0.09, 0, x + 0.09, 1.0, 0.1)
    for low in (0.3, 0.68):
        draw.block(2, -4.4, low, 4.4, low + 0.12, 0.1)


def pole(draw: Sketch, rng: Generator) -> None:
    """2 wood, with a crossbar."""
    draw.block(2, -0.016, 0, 0.016, 1.0, 0.2)
    draw.block(2, -0.14, 0.88, 0.14, 0.91, 0.2)
    draw.block(2, -0.1, 0.8, 0.1, 0.825, 0.2)


def lantern(draw: Sketch, rng: Generator) -> None:
    """2 iron, 3 glass."""
    draw.block(2, -0.016, 0, 0.016, 0.96, 0.1)
    draw.stroke(2, (0, 0.95), (-0.2, 0.97), 0.024)
    draw.window(3, -0.25, 0.915, -0.15, 0.96)


def post(draw: Sketch, rng: Generator) -> None:
    """0 white, 1 red: a marker beside the road."""
    draw.block(0, -0.1, 0, 0.1, 1.0, 0.2)
    draw.block(1, -0.1, 0.66, 0.1, 0.86, 0.2)
