"""Pixels to codes and back, part by part with what surrounds each: equal to the whole, in memory
that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..engine import Engine
from ..layers.pixels import to_frames, to_pixels
from .directions import Box
from .vqgan import PART, Vqgan


@dataclass(frozen=True)
class Parts:
    """The tokenizer's graphs on pictures of any size."""

    engine: Engine
    vqgan: Vqgan

    def encode(self, pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """uint8 (H, W, 3) -> int64 (rows, columns) codes from the top left; beyond its borders
        lies its mirror."""
        cell = self.vqgan.config.cell
        margin = self.vqgan.guided_margin - self.vqgan.margin  # in codes, of all that one sees
        down, along = (
            (margin * cell, (margin + codes) * cell - length)
            for codes, length in zip((rows, columns), pixels.shape[:2], strict=True)
        )
        whole = np.pad(pixels, (down, along, (0, 0)), mode="symmetric")
        found = np.empty((rows, columns), np.int64)
        for part in parts(Box(0, 0, rows, columns)):
            seen = Box(part.top, part.left, part.bottom + 2 * margin, part.right + 2 * margin)
            pictures = to_pixels(whole[area(seen, cell)])[None].contiguous()
            codes = self.engine.run("encode", pictures=pictures)["codes"][0].cpu().numpy()
            inner = Box(margin, margin, codes.shape[0] - margin, codes.shape[1] - margin)
            found[area(part)] = codes[area(inner)]
        return found

    def decode(
        self,
        codes: np.ndarray,
        box: Box,
        before: np.ndarray | None = None,
        spared: Box | None = None,
    ) -> np.ndarray:
        """The pixels of a box of codes (h, w): uint8, (height, width, 3). before: those of all
        codes of the frame before. spared: codes whose pixels nobody needs."""
        cell = self.vqgan.config.cell
        margin = self.vqgan.margin if before is None else self.vqgan.guided_margin
        sides = (box.bottom - box.top) * cell, (box.right - box.left) * cell
        found = np.zeros((*sides, 3), np.uint8)
        for part in parts(box):
            if spared is not None and covers(spared, part):
                continue
            seen = widened(part, margin, codes.shape)
            told = {} if before is None else {"before": to_pixels(before[area(seen, cell)])[None]}
            made = self.engine.run(
                "decode_guided" if told else "decode",
                codes=torch.from_numpy(codes[area(seen)])[None].contiguous(),
                **{name: pixels.contiguous() for name, pixels in told.items()},
            )
            pixels = to_frames(made["pixels"][0])
            found[area(relative(part, box), cell)] = pixels[area(relative(part, seen), cell)]
        return found


def parts(box: Box) -> Iterator[Box]:
    """Boxes that cover one, at most PART a side."""
    for top in range(box.top, box.bottom, PART):
        for left in range(box.left, box.right, PART):
            bottom, right = min(top + PART, box.bottom), min(left + PART, box.right)
            yield Box(top, left, bottom, right)


def widened(box: Box, margin: int, shape: tuple[int, ...]) -> Box:
    """With its surroundings, as far as there are any in a grid of that shape."""
    bottom, right = min(box.bottom + margin, shape[0]), min(box.right + margin, shape[1])
    return Box(max(0, box.top - margin), max(0, box.left - margin), bottom, right)


def covers(outer: Box, box: Box) -> bool:
    """Whether a box lies within another one."""
    rows = outer.top <= box.top and box.bottom <= outer.bottom
    return rows and outer.left <= box.left and box.right <= outer.right


def relative(box: Box, outer: Box) -> Box:
    """Where a box lies in another one."""
    top, left = box.top - outer.top, box.left - outer.left
    return Box(top, left, top + box.bottom - box.top, left + box.right - box.left)


def area(box: Box, scale: int = 1) -> tuple[slice, slice]:
    """Rows and columns of an array, of `scale` to each of the box's."""
    rows = slice(box.top * scale, box.bottom * scale)
    return rows, slice(box.left * scale, box.right * scale)
