"""Clips: frames with a rate."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clip:
    """frames: RGB uint8 (T, H, W, 3), T at least 1; fps: frames a second."""

    frames: np.ndarray
    fps: float

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise ValueError(f"frames must be uint8 (T, H, W, 3), got {self.frames.dtype} {shape}")
        if not self.fps > 0:
            raise ValueError(f"fps must be positive, got {self.fps}")

    @property
    def duration(self) -> float:
        """Seconds from the first frame's start to the last frame's end."""
        return len(self.frames) / self.fps
