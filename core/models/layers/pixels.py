"""Frames as bytes and as numbers, and the note that tells how far a table is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...training.events import Note, OnEvent
from ..arrays import Array, on_host

if TYPE_CHECKING:
    from torch import Tensor


def to_pixels(frames: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> float (..., 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(frames).movedim(-1, -3).float() / 255


def to_numbers(frames: np.ndarray) -> np.ndarray:
    """The same for a sampling loop: uint8 (..., H, W, 3) -> float32 (..., 3, H, W) in [0, 1]."""
    return np.ascontiguousarray(np.moveaxis(frames, -1, -3), np.float32) / 255


def to_frames(pixels: Array) -> np.ndarray:
    """float (..., 3, H, W) in [0, 1], of any engine -> uint8 (..., H, W, 3)."""
    levels = np.moveaxis(on_host(pixels), -3, -1) * 255
    np.rint(levels, out=levels)
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def noter(on_event: OnEvent):
    """A function that makes a note of a sentence."""
    return lambda text: on_event(Note(text))


def teller(what: str, on_event: OnEvent):
    """A progress callback that makes a note every tenth of the way."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done * 10 // total > told:
            told = done * 10 // total
            on_event(Note(f"{what}: {done} of {total}"))

    return tell
