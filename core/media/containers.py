"""Is a video file all there? Decoders end quietly where a file was cut off; its boxes know."""

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

from .part import Readable

SEGMENT_ID = 0x18538067
_PNG_END = b"IEND\xaeB`\x82"
_AT_ONCE = 1 << 20  # bytes that are looked through together


def truncation(path: Readable) -> str | None:
    """Why the file cannot be whole ("it ends after 120 of 500 bytes"), or None.

    None too for containers that do not say how long they are.
    """
    with path.open("rb") as file:
        measure = _measure_of(file.read(12))
        if measure is None:
            return None
        size = file.seek(0, 2)
        declared = measure(file, size)
    if not declared or declared <= size:
        return None
    return (
        f"it ends after {size} of {declared} bytes" if declared > size + 1 else "its end is missing"
    )


def _mp4_end(file: BinaryIO, size: int) -> int | None:
    """ISO 14496-12, 4.2: a chain of boxes, each a 32-bit size, a type and perhaps a 64-bit size."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        header = file.read(16)
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        if length == 0:
            return None
        if length < 8 or not kind.strip(b"\0"):
            return end
        end += length
    return end


def _riff_end(file: BinaryIO, size: int) -> int | None:
    """A chain of RIFF chunks, each a type and a 32-bit size, padded to even."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            return end
        end += 8 + length + length % 2
    return end


def _matroska_end(file: BinaryIO, size: int) -> int | None:
    """RFC 8794: an EBML header, then one segment, whose size may be unknown (all ones)."""
    end = 0
    while end < size:
        file.seek(end)
        element, length = _vint(file, keep_marker=True), _vint(file, keep_marker=False)
        if element is None or length is None:
            return None
        end = file.tell() + length
        if element == SEGMENT_ID:
            return end
    return end


def _vint(file: BinaryIO, keep_marker: bool) -> int | None:
    """An EBML variable-length integer; None for a malformed one or the unknown size."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    data = first + file.read(width - 1)
    if len(data) < width:
        return None
    value = int.from_bytes(data, "big")
    if keep_marker:
        return value
    value -= 1 << 7 * width
    return None if value == (1 << 7 * width) - 1 else value


def _gif_end(file: BinaryIO, size: int) -> int | None:
    """A chain of blocks that ends with a semicolon; where it breaks, that is not reached."""
    file.seek(10)
    _skip_colours(file)
    file.seek(2, os.SEEK_CUR)
    while (kind := file.read(1)) not in (b";", b""):
        if kind == b"!":  # an extension: its label
            file.seek(1, os.SEEK_CUR)
        elif kind == b",":  # a picture: its place, its colours, the size of its codes
            file.seek(8, os.SEEK_CUR)
            _skip_colours(file)
            file.seek(1, os.SEEK_CUR)
        elif kind != b"\0":
            return size + 1
        while kind != b"\0" and (length := file.read(1)) not in (b"", b"\0"):
            file.seek(length[0], os.SEEK_CUR)
    return None if kind else size + 1


def _skip_colours(file: BinaryIO) -> None:
    """A byte of flags, and after it the table that they tell of."""
    flags = (file.read(1) or b"\0")[0]
    file.seek(3 << (flags % 8 + 1) if flags & 0x80 else 0, os.SEEK_CUR)


def _png_end(file: BinaryIO, size: int) -> int | None:
    """A PNG ends with the chunk IEND and its checksum, which other bytes may follow."""
    file.seek(0)
    before = b""
    while block := file.read(_AT_ONCE):
        if _PNG_END in before + block:
            return None
        before = block[-len(_PNG_END) :]
    return size + 1


_SIGNS: dict[bytes, Callable[[BinaryIO, int], int | None]] = {
    b"\x1aE\xdf\xa3": _matroska_end,
    b"RIFF": _riff_end,
    b"GIF8": _gif_end,
    b"\x89PNG": _png_end,
}
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


def _measure_of(head: bytes) -> Callable[[BinaryIO, int], int | None] | None:
    """By the first bytes: names are often wrong."""
    return _mp4_end if head[4:8] in _MP4_BOXES else _SIGNS.get(head[:4])
