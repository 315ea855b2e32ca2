"""Pictures as a model takes them: read from their files, cropped and resized."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import UsageError
from .part import Readable

MOST_PIXELS = 89_000_000  # beyond, Pillow too warns of a bomb


def picture(path: str, size: tuple[int, int]) -> np.ndarray:
    """A picture's file as RGB uint8 (height, width, 3), fitted to size = (height, width).

    UsageError where it cannot be read.
    """
    return np.array(fitted(read_picture(Path(path)), size))


def read_picture(path: Readable) -> np.ndarray:
    """RGB uint8 (H, W, 3), upright; what is transparent lies on white. UsageError where the file is
    missing, no picture or cut off."""
    with _opened(path) as found:
        upright = ImageOps.exif_transpose(found)
        if upright.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
            upright = Image.fromarray((np.asarray(upright) / 257).round().astype(np.uint8))
        if upright.has_transparency_data:
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright.convert("RGBA"))
        return np.asarray(upright.convert("RGB"))


@contextmanager
def _opened(path: Readable) -> Iterator[Image.Image]:
    try:
        with path.open("rb") as file, Image.open(file) as found:
            if found.width * found.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            yield found
    except Image.DecompressionBombError as error:
        raise UsageError(f"{path} cannot be read as an image: it has too many pixels.") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or "it is no picture that is known"
        raise UsageError(f"{path} cannot be read as an image: {reason}.") from error


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """pixels: uint8 (H, W, 3) -> (h, w, 3) for size = (h, w).

    The largest part in the middle that has the target's aspect, resized by area where it shrinks,
    bicubically where it grows.
    """
    part = np.ascontiguousarray(pixels[middle(pixels.shape[:2], size)])
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
