"""What lies in a folder: its videos, and one .txt with a caption beside each."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from os.path import isdir, join, normpath, splitext
from pathlib import Path

from ..door import read_bytes
from ..errors import UsageError
from ..media.decode import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .captions import Entry, Malformed, decoded

LONGEST = 1 << 20  # bytes of a caption: what is longer is none


@dataclass
class Contents:
    """Names relative to the folder. videos: every one. captions: what has a .txt beside it, a
    video, a picture or a folder of frames, and that .txt. bare: pictures without, among such with
    one."""

    videos: list[str] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)


def contents_of(folder: Path) -> Contents:
    """What lies below the folder; hidden files do not."""
    found = Contents()
    for place, folders, names in os.walk(folder):
        inside = os.path.relpath(place, folder)
        texts = {splitext(name)[0]: name for name in names if name.lower().endswith(".txt")}
        frames = [name for name in folders if name in texts and _is_frames(join(place, name))]
        folders[:] = [name for name in folders if name not in frames]  # each is one clip
        shown = [name for name in names if not name.startswith(".")]
        videos = [name for name in shown if name.lower().endswith(VIDEO_SUFFIXES)]
        pictures = [name for name in shown if name.lower().endswith(IMAGE_SUFFIXES)]
        captions = {name: texts[splitext(name)[0]] for name in (*videos, *pictures)
                    if splitext(name)[0] in texts}  # fmt: skip
        captions |= {name: texts[name] for name in frames}
        found.videos += _within(inside, videos)
        found.captions |= {normpath(join(inside, name)): normpath(join(inside, text))
                           for name, text in captions.items()}  # fmt: skip
        if any(name in captions for name in pictures):
            found.bare += _within(inside, [name for name in pictures if name not in captions])
    return found


def _within(inside: str, names: list[str]) -> list[str]:
    return [normpath(join(inside, name)) for name in names]


def captioned_at_the_top(folder: str) -> bool:
    """Whether a video in the folder itself has a .txt beside it, or each of its folders holds
    frames and has one: it is no folder of images for each class then."""
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
        stems = {splitext(name)[0] for name in names if name.lower().endswith(".txt")}
        folders = [name for name in names if isdir(join(folder, name))]
        videos = (name for name in names if name.lower().endswith(VIDEO_SUFFIXES))
        return any(splitext(name)[0] in stems for name in videos) or (
            set(folders) <= stems and all(_is_frames(join(folder, name)) for name in folders)
        )
    return False


def read_beside(folder: Path, captions: dict[str, str]) -> tuple[list[Entry], list[Malformed]]:
    """An entry for each name of `captions`, and (name, reason) where its .txt cannot be read."""
    entries, malformed = [], []
    for name, text in sorted(captions.items()):
        try:
            told = decoded(read_bytes(folder / text, LONGEST)).strip()
            entries.append(Entry(0, name, (told,) if told else ()))
        except UsageError as error:
            reason = error.message.replace(str(folder / text), "its .txt").rstrip(".")
            malformed.append(Malformed(name, reason, name))
        except ValueError as error:
            malformed.append(Malformed(name, f"its .txt {error}", name))
    return entries, malformed


def _is_frames(path: str) -> bool:
    """Whether a folder holds images, and no videos."""
    with suppress(OSError):
        names = [name.lower() for name in os.listdir(path)]
        videos = any(name.endswith(VIDEO_SUFFIXES) for name in names)
        return not videos and any(name.endswith(IMAGE_SUFFIXES) for name in names)
    return False
