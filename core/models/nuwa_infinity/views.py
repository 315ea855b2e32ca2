"""Views: the parts of pictures and clips that are learnt from, each cut out once and kept.

A view is a little wider than a lesson, or a frame longer, so that lessons begin at any code of it.
Data that are drawn are drawn at the size of a view, all of their height; of pictures and videos it
shows a part, at a random place and from a random distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path

import numpy as np
import torch

from ...data import Source
from ...data.table import Table, build_table
from ...media.picture import resized
from ...training.events import OnEvent
from ..layers.pixels import noter, teller, to_pixels
from .config import Config
from .grids import kinds, moves
from .vqgan import Vqgan

EACH = 256  # views of one sample, at the most

Shape = tuple[int, int, int]  # frames, rows and columns: of patches, codes or pixels


@dataclass(frozen=True)
class Views:
    """The views of a source, by number: those of a sample are neighbours. config: one whose grids
    are `filled`."""

    config: Config
    source: Source

    def __len__(self) -> int:
        wanted, samples = self.config.training.views, len(self.source)
        if self.source.shape(0) is None:
            return min(wanted, samples)
        return min(max(wanted, samples), EACH * samples)

    @cached_property
    def kinds(self) -> tuple[bool, bool]:
        """Whether there are pictures among them, and clips."""
        return kinds(self.config, self.source)

    def sample(self, number: int) -> int:
        """Of which sample it shows a part."""
        return number * len(self.source) // len(self)

    def clip(self, number: int) -> bool:
        """Whether it is a clip: all that move are where there are pictures too, else a share."""
        pictures, clips = self.kinds
        if not (clips and moves(self.config, self.source, self.sample(number))):
            return False
        share = 1.0 if self._mixed or not pictures else self.config.training.clips
        return int((number + 1) * share) > int(number * share)

    @cached_property
    def _mixed(self) -> bool:
        rows = range(len(self.source))
        return any(not moves(self.config, self.source, index) for index in rows)

    def lesson(self, clip: bool) -> Shape:
        """In patches, how large a lesson is."""
        told = self.config.training
        if clip:
            return told.frames, told.clip_rows or 1, told.clip_columns or 1
        return 1, told.rows or 1, told.columns or 1

    def kept(self, clip: bool) -> Shape:
        """In patches, how large a view is."""
        frames, rows, columns = self.lesson(clip)
        if clip:
            return frames + 1, rows, columns
        return frames, rows, columns + int(columns * self.config.training.spare)

    @cached_property
    def most(self) -> int:
        """Patches that a view has, at the most."""
        pictures, clips = self.kinds
        return max(prod(self.kept(clip)) for clip in (False, True) if (pictures, clips)[clip])

    def key(self) -> str:
        """What the views hang on."""
        told, kept = self.config.training, [self.kept(clip) for clip in (False, True)]
        ways = told.fps, told.zoom, told.clips, len(self), self.kinds, self.config.side
        return f"{self.source.fingerprint()} {kept} {ways}"

    def drawn(self, number: int) -> np.ndarray:
        """A view's pixels (frames, height, width, 3), then zeros: uint8 (most * side**2 * 3,)."""
        side = self.config.side
        frames, rows, columns = self.kept(self.clip(number))
        rng = np.random.default_rng([number, 1])
        times = self._times(number, frames, rng)
        pixels = cut_out(
            self.source,
            self.sample(number),
            times,
            (rows * side, columns * side),
            self.config.training.zoom,
            rng,
        )
        row = np.zeros(self.most * side * side * 3, np.uint8)
        row[: pixels.size] = pixels.ravel()
        return row

    def _times(self, number: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Seconds of a clip's frames; of a picture, any of a video's, the middle of what is drawn:
        its caption tells the hour then."""
        index = self.sample(number)
        seconds, place = self.source.duration(index), rng.random()
        if self.clip(number):
            span = (frames - 1) / self.config.training.fps
            return place * max(0.0, seconds - span) + np.arange(frames) / self.config.training.fps
        return np.array([seconds * (0.5 if self.source.shape(index) is None else place)])

    def pixels(self, table: Table, number: int) -> np.ndarray:
        """uint8 (frames, height, width, 3) of a view."""
        frames, rows, columns = self.kept(self.clip(number))
        shape = frames, rows * self.config.side, columns * self.config.side, 3
        return table[number][: prod(shape)].reshape(shape)

    def codes(self, table: Table, number: int) -> np.ndarray:
        """(frames, height, width) of a view."""
        frames, rows, columns = self.kept(self.clip(number))
        shape = frames, rows * self.config.patch, columns * self.config.patch
        return table[number][: prod(shape)].reshape(shape)


def cut_out(
    source: Source,
    index: int,
    times: np.ndarray,
    size: tuple[int, int],
    zoom: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A part of a sample at `times` (T,), as large as `size` = (height, width) says: uint8
    (T, height, width, 3). Of a picture larger than that, the largest part that has this shape or
    one up to `zoom` times smaller, but no smaller than `size`."""
    if source.shape(index) is None:
        return source.frames(index, times, size)[0]
    whole = source.whole(index, times)
    scale = min(n / m for n, m in zip(whole.shape[1:3], size, strict=True))
    scale = scale if scale <= 1 else max(1.0, scale * zoom ** -rng.random())
    sides = [max(1, min(n, round(scale * m))) for n, m in zip(whole.shape[1:3], size, strict=True)]
    top, left = (int(rng.integers(n - m + 1)) for n, m in zip(whole.shape[1:3], sides, strict=True))
    parts = whole[:, top : top + sides[0], left : left + sides[1]]
    return np.stack([resized(part, size) for part in parts])


def views_table(views: Views, cache: Path, workers: int, on_event: OnEvent) -> Table:
    """The pixels of all views, as `Views.pixels` reads them."""
    return build_table(
        cache / "views.bin",
        len(views),
        (views.most * views.config.side**2 * 3,),
        np.uint8,
        views.drawn,
        workers=workers,
        on_progress=teller("views", on_event),
        on_note=noter(on_event),
        key=views.key(),
    )


def codes_table(
    views: Views, pixels: Table, vqgan: Vqgan, cache: Path, key: str, on_event: OnEvent
) -> Table:
    """The codes of all views, as `Views.codes` reads them. key names the weights."""
    return build_table(
        cache / "codes.bin",
        len(views),
        (views.most * views.config.tokens,),
        np.uint16 if views.config.codes <= 1 << 16 else np.uint32,
        partial(_codes, views, pixels, vqgan.eval()),
        on_progress=teller("codes", on_event),
        on_note=noter(on_event),
        key=f"{views.key()} {key}",
    )


def _codes(views: Views, table: Table, vqgan: Vqgan, number: int) -> np.ndarray:
    """A view is looked at as a whole, so that codes see beyond the borders of their patch."""
    device = next(vqgan.parameters()).device
    row = np.zeros(views.most * views.config.tokens, np.int64)
    pixels = to_pixels(np.array(views.pixels(table, number)))
    pixels = pixels.to(device, memory_format=torch.channels_last)
    with torch.inference_mode():  # in float32, as whoever has a picture encodes it
        codes = vqgan.encode(pixels).cpu().numpy()
    row[: codes.size] = codes.ravel()
    return row
