"""What steps of LongVideoGAN's trainings learn from: excerpts of real clips, and every number that
the turns draw beside them.

Small frames are means of the large ones' pixels, of as many as they are smaller by. Clips that
would be drawn whenever they are looked at are drawn once, at the large size: for the small stage
whole ones, of which the small frames are kept; for the large one a few short pieces of each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...data.reader import Reader
from ...training.events import Note, OnEvent
from ..layers.augmentation import DRAWS
from ..layers.excerpts import length
from ..layers.lessons import lesson_rng
from ..layers.strips import clips_table
from ..layers.video_augmentation import CHANGES
from .config import CONTEXT, PAIRS
from .filters import taps_of
from .moments import begins, learnt
from .windows import SCALE, coded

if TYPE_CHECKING:
    from ...data import Source
    from .config import Config

TURNS = 2  # that make videos of their own
SHOWN = 4  # turns that show videos
SHORT = PAIRS + 2 * CONTEXT  # frames of the large stage's excerpts
PIECES = 4  # such excerpts that are kept of a clip
PART = 64  # large frames that are held at once
MOVES = 6  # numbers of how the small frames are moved that large ones are made of: see `moved`


class Lessons(ABC):
    """A lesson's numbers hang on nothing but its sample, so that any number of processes learn the
    same. frames: of an excerpt; kind: of the kept ones, as their file is called."""

    kind: str

    def __init__(self, config: Config, source: Source, seed: int, name: str, frames: int) -> None:
        """name: of the stage that the numbers are drawn for."""
        self.config, self.seed, self.name, self.frames = config, seed, name, frames
        self.source = learnt(config, source)
        self.drawn = self.source is not source
        count = min(len(source), config.clips) if self.drawn else len(source)
        self.rooms = np.array([length(self.source, row, config.fps) for row in range(count)])
        enough = np.flatnonzero(self.rooms >= frames)
        whole = self.drawn or not len(enough)
        self.rows = np.arange(count) if whole else enough  # clips that are long enough
        self.table: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def prepare(self, cache: Path, workers: int, on_event: OnEvent) -> None:
        """Frames that would be drawn whenever they are looked at are drawn once, where the disk has
        room for them."""
        if short := int((self.rooms < self.frames).sum()):
            left_out = len(self.rows) < len(self.rooms)
            on_event(Note(
                f"{short} of {len(self.rooms)} clips have fewer than {self.frames} frames at "
                f"{self.config.fps:g} a second: "
                f"{'they are left out' if left_out else 'they stand still in the end'}"
            ))  # fmt: skip
        if self.drawn:
            config, shape = self.config, self.kept_shape
            path = cache / f"{self.kind}-{shape[1]}x{shape[2]}.bin"
            key = f"{self.source.fingerprint()} {shape} {config.fps} {config.height} {config.width}"
            table = clips_table(self.source, len(self), shape, self.filler(), config.fps, path, key,
                                workers, on_event)  # fmt: skip
            self.table = None if isinstance(table, Reader) else table

    @property
    @abstractmethod
    def kept_shape(self) -> tuple[int, int, int, int]:
        """(frames, H, W, 3) of what is kept of a clip."""

    @abstractmethod
    def filler(self) -> partial[np.ndarray]:
        """What draws that; it can be pickled."""

    @abstractmethod
    def batch(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """As `Stage.collate`."""

    def drawn_for(self, indices: np.ndarray, epoch: int) -> list[np.random.Generator]:
        """What each lesson draws from."""
        return [lesson_rng(self.seed, self.name, epoch, int(index)) for index in indices]

    def large(self, indices: np.ndarray, places: np.ndarray) -> np.ndarray:
        """uint8 (N, frames, H, W, 3), an excerpt of each clip, from numbers (N,) in [0, 1)."""
        config, rows = self.config, self.rows[indices]
        firsts = begins(self.rooms[rows], self.frames, places)
        size = (config.height, config.width)
        times = (firsts[:, None] + np.arange(self.frames)) / config.fps
        pairs = zip(rows, times, strict=True)
        return np.stack([self.source.frames(int(row), moments, size)[0] for row, moments in pairs])

    def turned(self, frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """frames: (N, T, H, W, 3), every other one mirrored where that is as good."""
        if not self.source.flips:
            return frames
        mirrored = (numbers < 0.5)[:, None, None, None, None]
        return np.where(mirrored, frames[:, :, :, ::-1], frames)


class LowLessons(Lessons):
    """Of small videos."""

    kind = "small"

    def __init__(self, config: Config, source: Source, seed: int, name: str) -> None:
        super().__init__(config, source, seed, name, config.frames)

    @property
    def kept_shape(self) -> tuple[int, int, int, int]:
        room = int(self.rooms[self.rows].max())
        return room, self.config.low_height, self.config.low_width, 3

    def filler(self) -> partial[np.ndarray]:
        return partial(small_strip, self.source, self.config, self.kept_shape[0])

    def batch(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """As `Stage.collate`."""
        rngs = self.drawn_for(indices, epoch)
        numbers = np.stack([rng.random(2 + TURNS + SHOWN * CHANGES) for rng in rngs])
        place, mirror, shift, uniform = np.split(numbers, [1, 2, 2 + TURNS], axis=1)
        shape = (TURNS, *noise_shape(self.config))
        small = self.turned(self.small(indices, place[:, 0]), mirror[:, 0])
        return tensors(
            real=small,
            noise=np.stack([rng.standard_normal(shape, np.float32) for rng in rngs]),
            shift=(shift * SCALE).astype(np.int64),
            uniform=uniform.reshape(-1, SHOWN, CHANGES).astype(np.float32),
        )

    def small(self, indices: np.ndarray, places: np.ndarray) -> np.ndarray:
        """uint8 (N, frames, h, w, 3)."""
        if self.table is None:
            return shrunk(self.large(indices, places), self.config.scale)
        firsts = begins(self.rooms[self.rows[indices]], self.frames, places)
        pairs = zip(indices, firsts, strict=True)
        return np.stack([self.table[row, first : first + self.frames] for row, first in pairs])


class SuperLessons(Lessons):
    """Of large frames, and of the small ones that they are made of."""

    kind = "large"

    def __init__(self, config: Config, source: Source, seed: int, name: str) -> None:
        super().__init__(config, source, seed, name, SHORT)

    @property
    def kept_shape(self) -> tuple[int, int, int, int]:
        return PIECES * SHORT, self.config.height, self.config.width, 3

    def filler(self) -> partial[np.ndarray]:
        return partial(large_pieces, self.source, self.config)

    def batch(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        """As `Stage.collate`."""
        config, rngs = self.config, self.drawn_for(indices, epoch)
        numbers = np.stack([rng.random(2 + SHOWN * (1 + DRAWS)) for rng in rngs])
        place, mirror, seen, uniform = np.split(numbers, [1, 2, 2 + SHOWN], axis=1)
        large = self.turned(self.pieces(indices, place[:, 0]), mirror[:, 0])
        normal = partial(_normal, rngs)
        return tensors(
            small=shrunk(large, config.scale),
            large=large[:, CONTEXT:-CONTEXT],
            seen=seen.astype(np.float32),
            uniform=uniform.reshape(-1, SHOWN, DRAWS).astype(np.float32),
            z=normal(TURNS, config.latent),
            moves=normal(TURNS, MOVES),
            noise=normal(TURNS, SHORT, 3, config.low_height, config.low_width),
        )

    def pieces(self, indices: np.ndarray, places: np.ndarray) -> np.ndarray:
        """uint8 (N, SHORT, H, W, 3)."""
        if not self.drawn:
            return self.large(indices, places)
        pieces = (places * PIECES).astype(np.int64)
        if self.table is None:
            found = [
                large_piece(self.source, self.config, int(self.rows[index]), int(piece))
                for index, piece in zip(indices, pieces, strict=True)
            ]
        else:
            found = [
                self.table[index, piece * SHORT : (piece + 1) * SHORT]
                for index, piece in zip(indices, pieces, strict=True)
            ]
        return np.stack(found)


def _normal(rngs: list[np.random.Generator], *shape: int) -> np.ndarray:
    return np.stack([rng.standard_normal(shape, np.float32) for rng in rngs])


def tensors(**arrays: np.ndarray) -> dict[str, Tensor]:
    """As torch has them."""
    return {name: torch.from_numpy(np.ascontiguousarray(row)) for name, row in arrays.items()}


def made_frames(config: Config) -> int:
    """Frames of a made small video, of which any that are judged at once begin within SCALE."""
    return SCALE * (ceil(config.frames / SCALE) + 1)


def noise_shape(config: Config) -> tuple[int, int]:
    """Channels, and frames of the noise of a made small video."""
    reach = taps_of(config.longest_rate) - 1
    return config.noise_channels, coded(made_frames(config)) + reach


def shrunk(frames: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (..., H, W, 3) -> (..., H / scale, W / scale, 3): the mean of each square, rounded."""
    *others, height, width, colours = frames.shape
    squares = frames.reshape(*others, height // scale, scale, width // scale, scale, colours)
    sums = squares.sum((-4, -2), dtype=np.uint32)
    return ((sums + scale**2 // 2) // scale**2).astype(np.uint8)


def small_strip(source: Source, config: Config, frames: int, clip: int) -> np.ndarray:
    """uint8 (frames, h, w, 3)."""
    size, parts = (config.height, config.width), []
    for times in np.array_split(np.arange(frames) / config.fps, -(-frames // PART)):
        parts.append(shrunk(source.frames(clip, times, size)[0], config.scale))
    return np.concatenate(parts)


def large_pieces(source: Source, config: Config, clip: int) -> np.ndarray:
    """uint8 (PIECES SHORT, H, W, 3)."""
    return np.concatenate([large_piece(source, config, clip, piece) for piece in range(PIECES)])


def large_piece(source: Source, config: Config, clip: int, piece: int) -> np.ndarray:
    """uint8 (SHORT, H, W, 3): of as many pieces, spread evenly over the clip."""
    spare = max(0, length(source, clip, config.fps) - SHORT)
    times = (spare * piece // (PIECES - 1) + np.arange(SHORT)) / config.fps
    return source.frames(clip, times, (config.height, config.width))[0]
