"""One file of a gallery, looked at: what it is, its first frame, and whether a browser plays it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...carbon.costs.amounts import Scale, amount, plain
from ...door import is_plain
from ...errors import UsageError
from ...media.containers import truncation
from ...media.names import counted

if TYPE_CHECKING:
    import numpy as np

    from ...media.opened import Film

VIDEOS, PICTURES = (".mp4", ".webm"), (".gif", ".png")
SUFFIXES = (*VIDEOS, *PICTURES)
POSTER_SIDE, POSTER_QUALITY = 480, 78  # of a first frame: pixels, JPEG's scale
# What all browsers play, what some do, by container and codec; colours in 8 bits at a quarter.
EVERYWHERE = {("mp4", "h264"), ("webm", "vp8"), ("webm", "vp9")}
SOMEWHERE = {("mp4", "hevc"), ("mp4", "av1"), ("mp4", "vp9"), ("webm", "av1")}
USUAL_COLOURS = ("yuv420p", "yuvj420p", "yuva420p")
NAMES = {"h264": "H.264", "hevc": "H.265", "av1": "AV1", "vp8": "VP8", "vp9": "VP9",
         "mpeg4": "MPEG-4 part 2", "prores": "ProRes"}  # fmt: skip
SIZES: Scale = (("GB", 1e9, 1e9), ("MB", 1e6, 1e6), ("kB", 1e3, 1e3), ("bytes", 1.0, 0.0))


@dataclass(frozen=True)
class Look:
    """mime: its media type; size: (height, width) in pixels; frames: None where nobody told;
    facts: what it is, in words; poster: its first frame as a JPEG, of what moves; note: what a
    browser does not do with it; plays: whether any browser shows it."""

    mime: str
    size: tuple[int, int]
    frames: int | None
    facts: tuple[str, ...]
    poster: bytes | None = None
    note: str | None = None
    plays: bool = True

    @property
    def is_video(self) -> bool:
        return self.mime.startswith("video/")


def media_in(folder: Path) -> list[Path]:
    """The clips and pictures in a folder, as people count: 2.mp4 before 10.mp4."""
    found = (path for path in folder.iterdir() if is_medium(path) and not path.is_dir())
    return sorted(found, key=lambda path: counted(path.name))


def is_medium(path: Path) -> bool:
    """By its name; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def look(path: Path) -> Look:
    """Only the first frame is decoded. UsageError where the file is missing, empty, cut off or
    cannot be read."""
    if not is_plain(path):
        raise UsageError(f"{path} is empty, or no file.")
    if path.suffix.lower() in PICTURES:
        return _picture(path)
    from ...media.decode import as_shown
    from ...media.opened import explained, opened

    with explained(path):
        if reason := truncation(path):
            raise UsageError(f"{path} is cut off: {reason}.")
        with opened(path) as film:
            frame = next(film.frames(strict=False), None)
            if frame is None:
                raise UsageError(f"No frame of {path} can be decoded.")
            return _video(film, as_shown(frame, film.aspect))


def _video(film: Film, first: np.ndarray) -> Look:
    """first: its first frame, uint8 (H, W, 3)."""
    kind, codec = _container(film), film.stream.codec_context.codec.canonical_name
    plays, note = playable(kind, codec, film.stream.codec_context.pix_fmt or "")
    height, width = first.shape[:2]
    seconds = film.container.duration and film.container.duration / 1e6
    rate = float(film.stream.average_rate or 0)
    facts = [f"{width} × {height} pixels"]
    facts += [f"{plain(rate, 3)} frames a second"] if rate else []
    facts += [f"{plain(seconds, 2)} s"] if seconds else []
    facts.append(f"{NAMES.get(codec, codec)} in {kind}")
    return Look(f"video/{kind}", (height, width), film.stream.frames or None, tuple(facts),
                jpeg(first), note, plays)  # fmt: skip


def _container(film: Film) -> str:
    """By the file's own bytes: names are often wrong."""
    names = film.container.format.name.split(",")
    return next((name for name in ("mp4", "webm") if name in names), names[0])


def playable(container: str, codec: str, colours: str) -> tuple[bool, str | None]:
    """Whether any browser plays it, and what to say where not all of them do. colours: a pixel
    format's name."""
    what = f"{NAMES.get(codec, codec)} in {container}"
    if (container, codec) not in EVERYWHERE | SOMEWHERE:
        return False, f"No browser plays {what}."
    if (container, codec) in SOMEWHERE:
        return True, f"Some browsers do not play {what}."
    if colours not in USUAL_COLOURS:
        return True, f"Some browsers do not play {what} with the pixels of {colours}."
    return True, None


def _picture(path: Path) -> Look:
    from PIL import Image

    from ...media.picture import flattened, opened_picture

    with opened_picture(path) as found:
        if reason := truncation(path):
            raise UsageError(f"{path} is cut off: {reason}.")
        frames, mime = getattr(found, "n_frames", 1), Image.MIME.get(found.format or "", "")
        if mime not in ("image/gif", "image/png", "image/jpeg", "image/webp"):
            raise UsageError(f"{path} is of a kind that no browser shows ({found.format}).")
        row, info = _row(found.info), found.info
        facts = [f"{found.width} × {found.height} pixels"]
        if frames > 1 and info.get("duration"):
            facts.append(f"{plain(1000 / info['duration'], 3)} frames a second")
        facts += [f"{row} frames side by side"] if row > 1 else []
        poster = jpeg(flattened(found)) if frames > 1 else None
        if poster is None:
            found.load()  # told here, not by a browser
        return Look(mime, (found.height, found.width), max(frames, row), tuple(facts), poster)


def _row(info: Mapping[Any, Any]) -> int:
    """How many frames a png says that it has side by side."""
    told = str(info.get("frames", 1))
    return int(told) if told.isdecimal() and len(told) < 6 else 1


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3), made as small as a page needs it."""
    from PIL import Image

    picture, file = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((POSTER_SIDE, POSTER_SIDE))
    picture.save(file, format="JPEG", quality=POSTER_QUALITY, optimize=True)
    return file.getvalue()


def in_bytes(count: int) -> str:
    """214 kB, 1.2 GB: to two figures."""
    return amount(count, SIZES, 2)
