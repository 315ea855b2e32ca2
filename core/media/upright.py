"""A decoded frame as a player shows it: its pixels square, turned upright, on white."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .picture import on_white, resized

if TYPE_CHECKING:
    from av import VideoFrame

Matrix = tuple[int, int, int, int]  # across and down by a stored pixel to the right, then below


def as_shown(frame: VideoFrame, aspect: float = 1.0) -> np.ndarray:
    """Uint8 (H, W, 3). aspect: width of a stored pixel in its heights; the width follows it.

    What is transparent lies on white, as of pictures.
    """
    pixels = _colours(frame)
    width = _width(pixels.shape[1], aspect)
    if width != pixels.shape[1]:
        pixels = resized(pixels, (pixels.shape[0], width))
    return _turned(pixels, _matrix(frame))


def shown_size(frame: VideoFrame, aspect: float) -> tuple[int, int]:
    """(height, width) of as_shown."""
    height, width = frame.height, _width(frame.width, aspect)
    return (width, height) if _transposes(_matrix(frame)) else (height, width)


def _width(stored: int, aspect: float) -> int:
    return max(1, round(stored * aspect))


def _colours(frame: VideoFrame) -> np.ndarray:
    kind = frame.format
    if kind.has_palette or any(part.is_alpha for part in kind.components):
        pixels = frame.to_ndarray(format="rgba")
        if pixels[..., 3].min() < 255:
            return on_white(pixels)
    return frame.to_ndarray(format="rgb24")


def _turned(pixels: np.ndarray, matrix: Matrix) -> np.ndarray:
    """ISO 14496-12, 8.3.2.3, to the nearest quarter turn, mirrored where the matrix mirrors."""
    a, b, c, d = matrix
    if _transposes(matrix):
        pixels, rows, columns = pixels.swapaxes(0, 1), b, c
    else:
        rows, columns = d, a
    return pixels[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1]


def _transposes(matrix: Matrix) -> bool:
    """Whether rows become columns."""
    a, b, c, d = map(abs, matrix)
    return b + c > a + d


def _matrix(frame: VideoFrame) -> Matrix:
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    return a, b, c, d
