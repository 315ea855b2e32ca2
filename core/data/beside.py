"""What lies in a folder: its videos, and one .txt with a caption beside each."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from os.path import isdir, join, normpath, splitext
from pathlib import Path

from ..door import read_bytes
from ..errors import UsageError
from ..media.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .captions import LONGEST_TEXT, Entry, Malformed, decoded


@dataclass
class Contents:
    """Names relative to the folder. videos, pictures: every one. captions: what has a .txt beside
    it, a video, a picture or a folder of frames, and that .txt. bare: pictures without, among such
    with one."""

    videos: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)


def contents_of(folder: Path) -> Contents:
    """What lies below the folder; hidden files and folders do not."""
    found = Contents()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        inside = os.path.relpath(place, folder)
        videos = _shown(names, VIDEO_SUFFIXES)
        found.videos += _within(inside, videos)
        pictures = _shown(names, IMAGE_SUFFIXES)
        found.pictures += _within(inside, pictures)
        texts = {splitext(name)[0]: name for name in _shown(names, (".txt",))}
        if not texts:
            continue
        frames = [name for name in folders if name in texts and _is_frames(join(place, name))]
        folders[:] = [name for name in folders if name not in frames]  # each is one clip
        beside = {name: texts.get(splitext(name)[0]) for name in (*videos, *pictures)}
        beside |= {name: texts[name] for name in frames}
        captioned = [name for name, text in beside.items() if text]
        paths = _within(inside, [beside[name] or "" for name in captioned])
        found.captions |= dict(zip(_within(inside, captioned), paths, strict=True))
        if any(beside[name] for name in pictures):
            found.bare += _within(inside, [name for name in pictures if not beside[name]])
    return found


def _shown(names: list[str], suffixes: tuple[str, ...]) -> list[str]:
    """Which of the names end so and are not hidden."""
    return [name for name in names if name.lower().endswith(suffixes) and name[0] != "."]


def _within(inside: str, names: list[str]) -> list[str]:
    return [normpath(join(inside, name)) for name in names]


def captioned_at_the_top(folder: str) -> bool:
    """Whether a video in the folder itself has a .txt beside it, or each of its folders holds
    frames and has one: it is no folder of images for each class then."""
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
        stems = {splitext(name)[0] for name in _shown(names, (".txt",))}
        if any(splitext(name)[0] in stems for name in _shown(names, VIDEO_SUFFIXES)):
            return True
        folders = [name for name in names if isdir(join(folder, name))]
        return set(folders) <= stems and all(_is_frames(join(folder, name)) for name in folders)
    return False


def read_beside(folder: Path, captions: dict[str, str]) -> tuple[list[Entry], list[Malformed]]:
    """An entry for each name of `captions`, and (name, reason) where its .txt cannot be read."""
    entries, malformed = [], []
    for name, text in sorted(captions.items()):
        try:
            told = decoded(read_bytes(folder / text, LONGEST_TEXT)).strip()
            entries.append(Entry(0, name, (told,) if told else ()))
        except UsageError as error:
            reason = error.message.replace(str(folder / text), "its .txt").rstrip(".")
            malformed.append(Malformed(name, reason, name))
        except ValueError as error:
            malformed.append(Malformed(name, f"its .txt {error}", name))
    return entries, malformed


def has_texts(folder: str) -> bool:
    """Whether a .txt lies in it; False where there is no such folder."""
    with suppress(OSError):
        return bool(_shown(os.listdir(folder), (".txt",)))
    return False


def _is_frames(path: str) -> bool:
    """Whether a folder holds images, and no videos."""
    with suppress(OSError):
        names = os.listdir(path)
        return bool(_shown(names, IMAGE_SUFFIXES)) and not _shown(names, VIDEO_SUFFIXES)
    return False
