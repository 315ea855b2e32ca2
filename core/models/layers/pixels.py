"""Frames as bytes and as numbers, and the note that tells how far a table is."""

import numpy as np
import torch
from torch import Tensor

from ...training.events import Note, OnEvent


def to_pixels(frames: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> float (..., 3, H, W) in [0, 1]."""
    return torch.from_numpy(frames).movedim(-1, -3).float() / 255


def to_frames(pixels: Tensor) -> np.ndarray:
    """float (..., 3, H, W) in [0, 1] -> uint8 (..., H, W, 3)."""
    return (pixels.movedim(-3, -1) * 255).round().clamp(0, 255).byte().cpu().numpy()


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
