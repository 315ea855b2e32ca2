"""What grows and lies about: trees, bushes, cacti, rocks, reeds and flowers, drawn by material."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi, sin

from numpy.random import Generator

from .sketch import Sketch


def conifer(draw: Sketch, rng: Generator, snowy: bool = False) -> None:
    """0 needles, 1 needles in the light, 2 trunk, 3 snow."""
    draw.block(2, -0.022, 0, 0.022, 0.2)
    tiers, wide = int(rng.integers(5, 8)), rng.uniform(0.2, 0.27)
    for tier in range(tiers):
        low = 0.1 + 0.8 * tier / tiers
        top = min(1.0, low + 1.5 / tiers) if tier < tiers - 1 else 1.0
        half = wide * (1 - tier / (tiers + 0.6)) ** 0.85
        ragged = [(half * (1 - n / 3), low - 0.016 + 0.028 * (n % 2) + 0.012 * rng.normal())
                  for n in range(7)]  # fmt: skip
        draw.shape(0, [(0, top), *ragged], -0.35)
        draw.shape(1, [(0, top), (-0.16 * half, low + 0.05), (-half * 0.92, low + 0.006)], 0.6)
        if snowy:
            shift = 0.02 * rng.normal()
            draw.shape(3, [(0, top), (half * 0.72, low + 0.07 + shift), (half * 0.3, low + 0.1),
                           (0, low + 0.05), (-half * 0.4, low + 0.09),
                           (-half * 0.86, low + 0.03)], None)  # fmt: skip


def snowy_conifer(draw: Sketch, rng: Generator) -> None:
    conifer(draw, rng, snowy=True)


def round_tree(draw: Sketch, rng: Generator) -> None:
    """0 leaves, 1 leaves in the light, 2 trunk."""
    draw.shape(2, [(-0.035, 0), (0.035, 0), (0.016, 0.5), (-0.016, 0.5)])
    for turn in (0.9, 2.2):
        draw.stroke(2, (0, 0.34), (0.2 * cos(turn), 0.34 + 0.2 * sin(turn)), 0.02)
    puffs = [(0.3 * cos(turn) * rng.uniform(0.6, 1.0), 0.6 + 0.24 * sin(turn))
             for turn in (n * pi / 4 + 0.3 * rng.normal() for n in range(8))]  # fmt: skip
    _crown(draw, [(x, y, rng.uniform(0.13, 0.18)) for x, y in [*puffs, (0, 0.62), (0, 0.8)]])


def birch(draw: Sketch, rng: Generator) -> None:
    """0 leaves, 1 leaves in the light, 2 white trunk, 3 its marks."""
    draw.shape(2, [(-0.022, 0), (0.022, 0), (0.01, 0.75), (-0.01, 0.75)])
    for mark in rng.uniform(0.03, 0.4, 6):
        draw.block(3, -0.02, mark, rng.uniform(-0.01, 0.02), mark + 0.012)
    turn = rng.uniform(0, 6)
    puffs = [(0.085 * sin(2.4 * n + turn) + 0.02 * rng.normal(), 0.38 + 0.058 * n,
              0.08 + 0.045 * sin(0.36 * n)) for n in range(9)]  # fmt: skip
    _crown(draw, puffs)


def _crown(draw: Sketch, puffs: list[tuple[float, float, float]]) -> None:
    """Round clumps, each dark at its right foot and light at its upper left."""
    for x, y, size in puffs:
        draw.disc(0, x, min(y, 0.995 - 0.92 * size), size, size * 0.92, -0.5)
    for x, y, size in sorted(puffs, key=lambda puff: -puff[1]):
        y = min(y, 0.995 - 0.92 * size)
        draw.disc(0, x - 0.06 * size, y + 0.05 * size, size * 0.84, size * 0.76, 0.15)
        draw.disc(1, x - 0.2 * size, y + 0.2 * size, size * 0.58, size * 0.5, 0.5)


def bare_tree(draw: Sketch, rng: Generator, snowy: bool = False) -> None:
    """2 branches, thick enough to be seen from afar, 3 snow on them."""

    def branch(x: float, y: float, turn: float, length: float, wide: float) -> None:
        a, b = x + length * cos(turn), y + length * sin(turn)
        draw.stroke(2, (x, y), (a, b), wide)
        if snowy and abs(cos(turn)) > 0.3:
            draw.stroke(3, (x, y + 0.4 * wide), (a, b + 0.4 * wide), 0.5 * wide)
        if length > 0.07:
            for way in (-1, 1):
                branch(a, b, turn + way * rng.uniform(0.3, 0.62), length * rng.uniform(0.66, 0.8),
                       max(0.66 * wide, 0.014))  # fmt: skip

    branch(0, 0, pi / 2 + 0.05 * rng.normal(), 0.27, 0.062)


def snowy_tree(draw: Sketch, rng: Generator) -> None:
    bare_tree(draw, rng, snowy=True)


def bush(draw: Sketch, rng: Generator) -> None:
    """0 leaves, 1 leaves in the light."""
    puffs = [(x, rng.uniform(0.3, 0.6), rng.uniform(0.28, 0.4)) for x in (-0.42, -0.14, 0.16, 0.44)]
    _crown(draw, puffs)
    draw.block(0, -0.6, 0, 0.6, 0.25, -0.4)


def palm(draw: Sketch, rng: Generator) -> None:
    """0 fronds, 1 fronds in the light, 2 trunk."""
    lean = rng.uniform(-0.22, 0.22)
    trunk = [(lean * (n / 8) ** 1.6, 0.7 * n / 8) for n in range(9)]
    for start, end in pairwise(trunk):
        draw.stroke(2, start, end, 0.05 - 0.018 * end[1])
    x, y = trunk[-1]
    for number in range(9):
        turn = -0.45 + 0.5 * number + 0.08 * rng.normal()
        spine = [(x + 0.38 * t * cos(turn), y + 0.3 * t * sin(turn) - 0.26 * t * t)
                 for t in (n / 7 for n in range(8))]  # fmt: skip
        under = [(a, b - 0.055 * sin(pi * n / 7) - 0.01) for n, (a, b) in enumerate(spine)]
        draw.shape(number % 2, [*spine, *reversed(under)], 0.5 * cos(turn) * -1)


def cactus(draw: Sketch, rng: Generator) -> None:
    """0 flesh, 1 its ribs in the light."""

    def limb(x: float, y: float, a: float, b: float, wide: float) -> None:
        draw.stroke(0, (x, y), (a, b), wide, -0.3)
        draw.disc(0, a, b, wide / 2, wide / 2, -0.3)
        draw.disc(0, x, y, wide / 2, wide / 2, -0.3)
        if y != b:
            draw.stroke(1, (x - 0.22 * wide, y), (a - 0.22 * wide, b), 0.3 * wide, 0.7)

    limb(0, 0, 0, 0.9, 0.17)
    for way in (-1, 1)[: int(rng.integers(1, 3))]:
        low, out = rng.uniform(0.3, 0.45), way * rng.uniform(0.22, 0.28)
        limb(0, low, out, low + 0.03, 0.11)
        limb(out, low + 0.03, out, low + rng.uniform(0.22, 0.34), 0.12)


def rock(draw: Sketch, rng: Generator) -> None:
    """0 stone, 1 stone in the light, 3 snow."""
    top, left = rng.uniform(0.75, 0.98), rng.uniform(-0.4, -0.1)
    draw.shape(0, [(-0.72, 0), (-0.6, 0.45), (left, top), (0.28, 0.8 * top), (0.62, 0.4),
                   (0.72, 0)], -0.5)  # fmt: skip
    draw.shape(1, [(-0.72, 0), (-0.6, 0.45), (left, top), (0.05, 0.62 * top), (-0.15, 0)], 0.5)
    draw.shape(1, [(left, top), (0.28, 0.8 * top), (0.05, 0.62 * top)], 0.1)


def snowy_rock(draw: Sketch, rng: Generator) -> None:
    rock(draw, rng)
    draw.shape(3, [(-0.62, 0.45), (-0.25, 0.98), (0.28, 0.84), (0.6, 0.45), (0.2, 0.55),
                   (-0.2, 0.6)], 0.1)  # fmt: skip


def reeds(draw: Sketch, rng: Generator) -> None:
    """0 stalks, 1 stalks in the light, 2 heads."""
    for number in range(15):
        x = rng.uniform(-0.42, 0.42)
        high, lean = rng.uniform(0.5, 0.98), 0.12 * rng.normal()
        draw.shape(number % 2, [(x - 0.025, 0), (x + 0.025, 0), (x + lean, high)])
        if number % 4 == 0:
            draw.stroke(2, (x + 0.7 * lean, 0.7 * high), (x + lean, high), 0.05)


def flowers(draw: Sketch, rng: Generator) -> None:
    """0 grass, 1 grass in the light, 2 petals."""
    for number in range(13):
        x, lean = rng.uniform(-0.7, 0.7), 0.12 * rng.normal()
        high = rng.uniform(0.4, 0.85)
        draw.shape(number % 2, [(x - 0.045, 0), (x + 0.045, 0), (x + lean, high)])
        if number % 3 == 0:
            draw.disc(2, x + lean, high, 0.085, 0.085, 0.3)


def tuft(draw: Sketch, rng: Generator) -> None:
    """0 grass, 1 grass in the light."""
    for number in range(15):
        x = rng.uniform(-0.5, 0.5)
        end = (1.6 * x + 0.1 * rng.normal(), rng.uniform(0.45, 0.98))
        draw.shape(number % 2, [(x - 0.05, 0), (x + 0.05, 0), end])
