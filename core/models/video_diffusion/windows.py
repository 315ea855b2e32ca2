"""Frames at other sizes, as Video Diffusion learns from them."""

import numpy as np


def shrunk(frames: np.ndarray, size: int) -> np.ndarray:
    """uint8 (..., H, W, 3) -> (..., size, size, 3), each pixel the mean of a block."""
    block = frames.shape[-2] // size
    if block == 1:
        return frames
    parts = frames.reshape(*frames.shape[:-3], size, block, size, block, 3)
    return np.round(parts.mean(axis=(-4, -2), dtype=np.float32)).astype(np.uint8)
