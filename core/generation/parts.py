"""The folder in which a film's clips wait until all of them are there: raw frames, each file under
a name that follows from all that decides them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..files import LEFT, atomic_write, make_folder
from ..media.clip import Clip
from ..media.stream import Stream
from ..media.video import write_clip

_OURS = re.compile(rf"(?:{LEFT})?[0-9a-f]{{32}}\.(?:npy|png)")


class Parts:
    """Clips and pictures by their keys, 32 letters each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str, frames: int) -> bool:
        """Whether a whole clip of so many frames is there."""
        try:
            return len(self.read(key)) == frames
        except (OSError, ValueError, TypeError):
            return False

    def read(self, key: str) -> np.ndarray:
        """Its frames, uint8 (T, H, W, 3), of which only those that are looked at are read."""
        found = np.load(self.folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3:
            raise ValueError(f"{key} is no clip")
        return found

    def keep(self, key: str, stream: Stream) -> None:
        """Write a clip as its frames come; it is there when all are."""
        make_folder(self.folder)
        header = {"descr": "|u1", "fortran_order": False, "shape": (stream.frames, *stream.size, 3)}
        with atomic_write(self.folder / f"{key}.npy") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in stream:
                file.write(np.ascontiguousarray(block).data)

    def last_frame(self, key: str) -> str:
        """A picture's file with the last frame of a clip."""
        path = self.folder / f"{key}.png"
        last = np.ascontiguousarray(self.read(key)[-1:])
        return str(write_clip(Clip(last, 1.0), path, scale=1, overwrite=True))

    def clear(self) -> None:
        """Remove all clips, and the folder where nothing else lies in it."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink()
            self.folder.rmdir()
