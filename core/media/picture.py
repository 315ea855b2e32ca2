"""Pictures as a model takes them: read from their files, cropped and resized."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UsageError
from .part import Part, Readable

MOST_PIXELS = 89_000_000  # beyond, Pillow too warns of a bomb
LEVELS = 255


def picture(path: str, size: tuple[int, int]) -> np.ndarray:
    """A picture's file as RGB uint8 (height, width, 3), fitted to size = (height, width).

    UsageError where it cannot be read.
    """
    return np.array(fitted(read_picture(Path(path)), size))


def read_picture(path: Readable) -> np.ndarray:
    """RGB uint8 (H, W, 3), upright; what is transparent lies on white, 16 bits of grey become 8.
    UsageError where the file is missing, no picture, cut off, or of numbers that are no colours."""
    with opened_picture(path) as found:
        return flattened(found)


def recent_picture(path: Readable) -> np.ndarray:
    """As read_picture, read-only: the last one is kept, for many parts may be cut out of it."""
    file = path.file if isinstance(path, Part) else path
    with suppress(OSError):
        return _recent(path, os.stat(file).st_mtime_ns)
    return read_picture(path)


@lru_cache(maxsize=1)
def _recent(path: Readable, changed: int) -> np.ndarray:
    pixels = read_picture(path)
    pixels.flags.writeable = False
    return pixels


def flattened(found: Image.Image) -> np.ndarray:
    """An open picture as read_picture tells. OSError or ValueError where it cannot be read."""
    upright = _eight_bits(ImageOps.exif_transpose(found))
    if upright.has_transparency_data:
        return on_white(np.asarray(upright.convert("RGBA")))
    return np.asarray(upright.convert("RGB"))


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Colours and opacity, uint8 (H, W, 4), before white: uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    white = Image.new("RGBA", (width, height), "white")
    return np.asarray(Image.alpha_composite(white, Image.fromarray(pixels)).convert("RGB"))


def _eight_bits(found: Image.Image) -> Image.Image:
    """Levels of 16 bits as 8: Pillow clips those of greys, and takes the transparent colour of
    others for one of 8. ValueError for numbers that are no such levels."""
    clear = found.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > LEVELS:
        found.info["transparency"] = tuple(level >> 8 for level in clear)
    if found.mode[0] not in "IF":
        return found
    levels = np.asarray(found)
    if found.mode == "F" or levels.min() < 0 or levels.max() > 257 * LEVELS:
        raise ValueError("its numbers are no levels of grey")
    grey = (levels / 257).round().astype(np.uint8)
    if not isinstance(clear, int):
        return Image.fromarray(grey)
    opacity = np.where(levels == clear, 0, LEVELS).astype(np.uint8)
    return Image.fromarray(np.stack([grey, opacity], axis=-1))


@contextmanager
def opened_picture(path: Readable) -> Iterator[Image.Image]:
    """The file as Pillow has it. UsageError as of read_picture, also for what fails inside."""
    try:
        with path.open("rb") as file, Image.open(file) as found:
            if found.width * found.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            yield found
    except Image.DecompressionBombError as error:
        raise UsageError(f"{path} cannot be read as an image: it has too many pixels.") from error
    except UnidentifiedImageError as error:
        raise UsageError(
            f"{path} cannot be read as an image: it is no picture that is known."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = (
            getattr(error, "strerror", None)
            or f"it is damaged, or of no kind that is read ({error})"
        )
        raise UsageError(f"{path} cannot be read as an image: {reason}.") from error


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """pixels: uint8 (H, W, 3) -> (h, w, 3) for size = (h, w).

    The largest part in the middle that has the target's aspect, resized by area where it shrinks,
    bicubically where it grows.
    """
    return resized(pixels[middle(pixels.shape[:2], size)], size)


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """All of it, as `fitted` resizes."""
    part = np.ascontiguousarray(pixels)
    if part.shape[:2] == size:
        return part
    smaller = part.shape[0] > size[0] or part.shape[1] > size[1]
    method = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(part).resize((size[1], size[0]), method))


def middle(whole: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the largest part of `whole` = (H, W) with the aspect of `size`."""
    (height, width), (h, w) = whole, size
    if height * w <= width * h:
        rows, columns = height, max(1, round(height * w / h))
    else:
        rows, columns = max(1, round(width * h / w)), width
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)
