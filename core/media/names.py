"""Which files are videos and pictures, by their names, and how a folder's pictures follow."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError

VIDEO_SUFFIXES = (
    ".mp4", ".gif", ".webm", ".avi", ".mov", ".mkv", ".m4v", ".ts", ".m2ts", ".mts", ".wmv", ".asf",
    ".mpg", ".mpeg", ".vob", ".flv", ".3gp", ".3g2", ".ogv",
)  # fmt: skip
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def is_image(path: Path) -> bool:
    """By its name; hidden files are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def images_of(folder: Path) -> list[Path]:
    """The images in a folder, as people count: 2.png before 10.png."""
    return sorted(filter(is_image, folder.iterdir()), key=lambda path: counted(path.name))


def image_files(folder: Path) -> list[Path]:
    """As images_of. Raises UsageError when there are none."""
    images = images_of(folder)
    if not images:
        raise UsageError(f"The folder {folder} holds no images.")
    return images


def counted(name: str) -> tuple[list[str | int], str]:
    """What names are sorted by so that every number in them counts; the name itself settles ties
    (1.png, 01.png)."""
    parts = re.split(r"([0-9]+)", name)  # letters and digits take turns
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name
