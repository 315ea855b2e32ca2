"""A published file opened: a bare pickle, torch's stream of before 2020, or torch's zip archive.

Storages that lie in the bytes of a pickle are streams of torch's old format themselves, and are
read by the same rules and from the same budget.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...door import mapped
from ...errors import DlnError, UsageError
from .machine import Machine
from .makers import MAKERS, Key, Maker
from .tensors import Storage, storage_of
from .tokens import Budget, Damaged, Tape

MOST_BYTES = 256 << 30
MOST_ENTRIES = 1 << 16  # of a zip archive
COPIES, SPARE = 4, 1 << 20  # a file's bytes are looked at and copied so often, and so many more
MAGIC = 0x1950A86A20F9469CFC6C  # how torch's old stream begins
VERSION = 1001  # of that stream
# What people have instead of a file that they downloaded; no pickle begins like them.
_OTHERS = {
    b"<": "a web page, which a server sent in its place",
    b"version https://git-lfs": "the name of a file in Git's large file storage: git lfs pull",
    b"\x1f\x8b": "compressed: gunzip it first",
}
_ZIP = b"PK\x03\x04"
_LOCAL = 30  # bytes of a zip entry's own header, before its name


def read(path: Path) -> Any:
    """What a file of somebody's pickles holds: containers, numbers, text, `Tensor` and `Record`.

    UsageError for a file that cannot be read, or is no such file.
    """
    data = mapped(path, MOST_BYTES)
    with readable(path):
        if data[:4] == _ZIP:
            return _archive(path, data)
        for begin, what in _OTHERS.items():
            if data[: len(begin)] == begin:
                raise Damaged(f"it is {what}")
        budget = Budget(COPIES * len(data) + SPARE)
        if _is_stream(data):
            return _stream(data, budget)
        return Machine(Tape(data, budget), _NESTING).run()


@contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Inside, what is Damaged is a UsageError about the file, and what finds no room a DlnError."""
    try:
        yield
    except Damaged as error:
        raise UsageError(f"{path} cannot be read as published weights: {error}.",
                         "dln models import --help") from error  # fmt: skip
    except MemoryError as error:
        raise DlnError(f"there is not enough memory for the weights in {path}") from error


def _is_stream(data: memoryview) -> bool:
    """Whether the first pickle is torch's magic number and nothing else."""
    try:
        return Machine(Tape(data[:64], Budget(64, 8)), {}).run() == MAGIC
    except Damaged:
        return False


def _stream(data: memoryview, budget: Budget) -> Any:
    """torch's old format: four pickles (a number, the version, the system, the object), the keys of
    the storages, and their bytes."""
    tape, storages = Tape(data, budget), {}

    def outside(told: Any) -> Storage:
        key, storage = storage_of(told)
        return storages.setdefault(key, storage)

    begin = [Machine(tape, MAKERS).run() for _ in range(3)]
    if begin[:2] != [MAGIC, VERSION]:
        raise Damaged("a tensor's bytes are no stream of torch's")
    if not (isinstance(begin[2], dict) and begin[2].get("little_endian") is True):
        raise Damaged("its numbers were written by a machine with another order of bytes")
    held = Machine(tape, MAKERS, outside).run()
    _fill(tape, storages, Machine(tape, MAKERS).run())
    return held


def _fill(tape: Tape, storages: dict[str, Storage], keys: Any) -> None:
    if not isinstance(keys, list) or len(keys) != len(storages):
        raise Damaged("its storages are not those that it names")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or storage.data is not None or tape.number("<q") != storage.count:
            raise Damaged("its storages are not those that it names")
        storage.data = tape.take(storage.bytes)


def _nested(budget: Budget, key: Key, args: tuple[Any, ...]) -> Storage:
    if len(args) != 1 or not isinstance(args[0], memoryview):
        raise Damaged("it makes a storage of what are no bytes")
    budget.spend(len(args[0]))  # uncopied, but one may be asked for again and again
    storage = _stream(args[0], budget)
    if not isinstance(storage, Storage):
        raise Damaged("a tensor's bytes hold no storage")
    return storage


_NESTING: dict[tuple[str, str], Maker] = {
    **MAKERS,
    ("torch.storage", "_load_from_bytes"): _nested,
}


def _archive(path: Path, data: memoryview) -> Any:
    """torch's format of today: an uncompressed zip archive of a pickle and of storages."""
    entries = _entries(path, data)
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise Damaged("it is a zip archive without a pickle of torch's")
    folder = pickles[0].removesuffix("data.pkl")
    if entries.get(f"{folder}byteorder", b"little") != b"little":
        raise Damaged("its numbers were written by a machine with another order of bytes")
    storages: dict[str, Storage] = {}

    def outside(told: Any) -> Storage:
        key, storage = storage_of(told)
        held = entries.get(f"{folder}data/{key}")
        if held is None or len(held) < storage.bytes:
            raise Damaged("it lacks the numbers of a tensor")
        storage.data = held[: storage.bytes]
        return storages.setdefault(key, storage)

    text = entries[pickles[0]]
    return Machine(Tape(text, Budget(COPIES * len(text) + SPARE)), MAKERS, outside).run()


def _entries(path: Path, data: memoryview) -> dict[str, memoryview]:
    """The files in a zip archive, uncopied. Damaged for one that is not whole, has too many, or
    compresses them."""
    _check_count(data)
    try:
        with zipfile.ZipFile(path) as archive:
            held = {entry.filename: _entry(entry, data) for entry in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error,
            OverflowError, RuntimeError) as error:  # fmt: skip
        raise Damaged("it is a zip archive that is not whole") from error
    if sum(map(len, held.values())) > len(data):
        raise Damaged("it is a zip archive whose files lie on each other")
    return held


def _check_count(data: memoryview) -> None:
    """Before the list is read: what its end says, in the newer form where there is that."""
    tail = bytes(data[-(1 << 16) - 98 :])
    at = tail.rfind(b"PK\x05\x06")
    long = tail.rfind(b"PK\x06\x06", 0, max(at, 0))
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    if long >= 0 and size == 0xFFFFFFFF:
        size = int.from_bytes(tail[long + 40 : long + 48], "little")
    if at < 0 or size > 128 * MOST_ENTRIES:
        raise Damaged("it is a zip archive that is cut off, or has too many files")


def _entry(entry: zipfile.ZipInfo, data: memoryview) -> memoryview:
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise Damaged("it is a zip archive of compressed files, which torch does not write")
    head = data[entry.header_offset : entry.header_offset + _LOCAL]
    if bytes(head[:4]) != _ZIP:
        raise Damaged("it is a zip archive that is not whole")
    names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    begin = entry.header_offset + _LOCAL + names
    if begin + entry.file_size > len(data):
        raise Damaged("it is cut off")
    return data[begin : begin + entry.file_size]
