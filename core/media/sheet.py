"""Sheets: frames side by side in one picture."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import UsageError, reason_of
from .containers import truncation
from .picture import flattened

if TYPE_CHECKING:
    from .clip import Clip

GAP = 2
COLUMNS = 8
LABEL_SIZE = 12
FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf")


def contact_sheet(
    clips: list[Clip],
    columns: int | None = None,
    labels: list[str] | None = None,
    scale: int = 1,
) -> np.ndarray:
    """One row a clip, `columns` frames evenly chosen: RGB uint8 (H, W, 3) on white.

    columns: at most 8, the longest clip's count if that is less. A clip with fewer frames leaves
    its row's end empty. labels: one a clip, written to the left. scale: pixels a side a pixel
    becomes. Raises ValueError for no clips or a wrong number of labels.
    """
    from .encode import enlarge

    if not clips or (labels is not None and len(labels) != len(clips)):
        raise ValueError(f"{len(clips)} clips with {len(labels or [])} labels make no sheet")
    columns = columns or min(COLUMNS, max(len(clip.frames) for clip in clips))
    rows = [enlarge(clip.frames[_chosen(len(clip.frames), columns)], scale) for clip in clips]
    height = max(row.shape[1] for row in rows) + GAP
    width = max(row.shape[2] for row in rows) + GAP
    margin = _margin(labels) if labels else 0
    shape = (len(rows) * height - GAP, margin + columns * width - GAP, 3)
    sheet = np.full(shape, 255, np.uint8)
    for number, row in enumerate(rows):
        for place, frame in enumerate(row):
            top, left = number * height, margin + place * width
            sheet[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return _labelled(sheet, labels, height) if labels else sheet


def read_sheet(path: Path) -> tuple[np.ndarray, float]:
    """The frames of a png written by write_clip, and its rate; any other picture is one frame.

    Returns uint8 (T, H, W, 3) and frames a second. Raises UsageError for an unreadable file.
    """
    if not os.path.isfile(path):
        raise UsageError(f"There is no file {path}.")
    try:
        if reason := truncation(path):
            raise UsageError(f"{path} is cut off: {reason}.")
        with Image.open(path) as picture:
            pixels = flattened(picture)
            count = int(picture.info.get("frames", 1))
            fps = float(picture.info.get("fps", 1.0))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} cannot be read as a picture: {reason_of(error)}.") from error
    if count < 1 or not 0 < fps < math.inf or pixels.shape[1] % count:
        raise UsageError(f"{path} is not the row of {count} frames that it says it is.")
    return np.stack(np.split(pixels, count, axis=1)), fps


def _chosen(count: int, columns: int) -> np.ndarray:
    """Indices of the frames shown: the first, the last, and evenly between."""
    return np.linspace(0, count - 1, min(columns, count)).round().astype(int)


@lru_cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of this machine that has Cyrillic letters, else the one that Pillow brings."""
    for name in FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, LABEL_SIZE)
    return ImageFont.load_default(LABEL_SIZE)


def _margin(labels: list[str]) -> int:
    font = _font()
    return round(max(font.getlength(label) for label in labels)) + 4 * GAP


def _labelled(sheet: np.ndarray, labels: list[str], height: int) -> np.ndarray:
    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    font = _font()
    for number, label in enumerate(labels):
        middle = number * height + (height - GAP) / 2
        draw.text((2 * GAP, middle), label, fill=(0, 0, 0), font=font, anchor="lm")
    return np.asarray(picture)
