"""A PNG written row by row, in memory that does not grow with the picture's height.

ISO/IEC 15948: each row is filtered by what lies to its left and above it, and all of them are one
stream of zlib, cut into chunks. Pillow, which writes the other pictures, holds all of it at once.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

SIGN = b"\x89PNG\r\n\x1a\n"
COLOURS = 3  # bytes of a pixel
AT_ONCE = 1 << 18  # bytes that are filtered together
CHUNK = 1 << 16
SUB, UP, PAETH = 1, 2, 4  # of the five filters, those that serve pictures best
LEVEL = 6


def write_png(
    path: Path, size: tuple[int, int], bands: Iterable[np.ndarray], notes: Mapping[str, str]
) -> None:
    """size: (height, width); bands: uint8 (n, width, 3) each, from the top down; notes: texts of
    Latin letters by their names. ValueError for rows of another width, too few or too many."""
    height, width = size
    with path.open("wb") as file:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        file.write(SIGN + _chunk(b"IHDR", header))
        for name, text in notes.items():
            file.write(_chunk(b"tEXt", f"{name}\0{text}".encode("latin-1")))
        for data in _packed(_filtered(bands, size)):
            file.write(_chunk(b"IDAT", data))
        file.write(_chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _packed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """All parts as one stream of zlib, in pieces of about CHUNK bytes."""
    packer, held = zlib.compressobj(LEVEL), b""
    for part in parts:
        held += packer.compress(part)
        if len(held) >= CHUNK:
            yield held
            held = b""
    yield held + packer.flush()


def _filtered(bands: Iterable[np.ndarray], size: tuple[int, int]) -> Iterator[bytes]:
    """The rows of the picture as a PNG has them, some at a time."""
    height, width = size
    above, left = np.zeros((width, COLOURS), np.uint8), height
    step = max(1, AT_ONCE // (width * COLOURS))
    for band in bands:
        left -= len(band)
        if band.dtype != np.uint8 or band.shape[1:] != (width, COLOURS) or left < 0:
            raise ValueError(f"rows {band.dtype} {band.shape} are not of a picture of {size}")
        for first in range(0, len(band), step):
            rows = band[first : first + step]
            yield _rows(rows, np.concatenate([above[None], rows[:-1]]))
            above = rows[-1]
    if left:
        raise ValueError(f"{left} rows of {height} never came")


def _rows(rows: np.ndarray, above: np.ndarray) -> bytes:
    """uint8 (n, W, 3) and the rows above each -> their bytes, each row by the filter that leaves
    the smallest numbers, after the filter's own byte."""
    x, b = rows.astype(np.int16), above.astype(np.int16)
    a, c = (np.pad(each[:, :-1], ((0, 0), (1, 0), (0, 0))) for each in (x, b))
    tried = np.stack([x - a, x - b, x - _paeth(a, b, c)]).astype(np.uint8)
    cost = np.abs(tried.view(np.int8).astype(np.int16)).sum(axis=(2, 3), dtype=np.int64)
    best = cost.argmin(axis=0)
    found = np.empty((len(rows), 1 + rows[0].size), np.uint8)
    found[:, 0] = np.array([SUB, UP, PAETH], np.uint8)[best]
    found[:, 1:] = tried[best, np.arange(len(rows))].reshape(len(rows), -1)
    return found.tobytes()


def _paeth(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Of left, above and above left, the one nearest to a + b - c; of equals the first."""
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
