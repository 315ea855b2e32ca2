"""The members of a tar, each with the place of its bytes; nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..media.part import Part
from .places import leads_out
from .report import Problem

PACKERS = {b"\x1f\x8b\x08": "gunzip", b"BZh": "bunzip2", b"\xfd7z": "unxz", b"(\xb5/": "unzstd"}


def members(path: Path) -> Iterator[Part | Problem]:
    """Every whole file in the tar at `path`, in order, and a Problem for each that is not: one cut
    off, one kept in pieces, one whose name leads out of the tar. Folders and links are no files.

    OSError where `path` cannot be opened.
    """
    with path.open("rb") as file:
        size, place = file.seek(0, 2), 0
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while info := tar.next():
                    if info.isreg():
                        yield _member(path, info, size)
                    tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # they would fill the memory
                place = tar.offset
        except (tarfile.TarError, ValueError, OverflowError) as error:
            yield Problem(path.name, "unreadable", _reason(path, error))
            return
        file.seek(place)
        if (block := file.read(tarfile.BLOCKSIZE)).strip(b"\0") or not block:
            what = "it is damaged" if block else "its end is missing: it may be cut off"
            yield Problem(path.name, "unreadable", f"{what} at byte {place}")


def _member(path: Path, info: tarfile.TarInfo, size: int) -> Part | Problem:
    name = info.name.encode("utf-8", "backslashreplace").decode()
    shown = f"{path.name}:{name}"
    if leads_out(name):
        return Problem(shown, "malformed", "its name leads out of the tar")
    if info.issparse():
        return Problem(shown, "malformed", "it is kept in pieces (a sparse file)")
    if not 0 <= info.size <= size - info.offset_data:
        there = size - info.offset_data
        return Problem(shown, "unreadable", f"the tar ends after {there} of its {info.size} bytes")
    return Part(path, name, info.offset_data, info.size)


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        packer = PACKERS.get(file.read(3))
    if packer:
        return f"it is compressed, and samples are read from anywhere in a tar: {packer} {path}"
    return f"it is no tar that can be read ({error})"
