"""A stretch of a file that reads as a file of its own: a member of an archive."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast


@dataclass(frozen=True)
class Part:
    """`size` bytes of `file` from byte `offset` on, known as `name`.

    Has what readers use of a Path: suffix, is_file, is_dir, open.
    """

    file: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def is_file(self) -> bool:
        return os.path.isfile(self.file)

    def is_dir(self) -> bool:
        return False

    def open(self, mode: str = "rb") -> BinaryIO:
        """The bytes, to be read and sought in. OSError where the file is gone."""
        if mode != "rb":
            raise ValueError(f"a part of a file is read in mode 'rb', not {mode!r}")
        return cast(BinaryIO, io.BufferedReader(_Window(self)))


Readable = Path | Part


class _Window(io.RawIOBase):
    """The bytes of a part."""

    def __init__(self, part: Part) -> None:
        self.name = part.name  # FFmpeg guesses the format from it where the bytes do not say
        self._start, self._size, self._place = part.offset, part.size, 0
        self._file = part.file.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"there is no byte {base + offset}")
        self._place = base + offset
        return self._place

    def readinto(self, buffer) -> int:
        room = memoryview(buffer)[: max(0, self._size - self._place)]
        self._file.seek(self._start + self._place)
        count = self._file.readinto(room) if len(room) else 0
        self._place += count or 0
        return count or 0

    def close(self) -> None:
        self._file.close()
        super().close()
