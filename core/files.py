"""Writing files so that a reader sees the old one or the new one, never half of it."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from .cache import cache_folder
from .door import json_value
from .errors import DlnError, UsageError
from .locks import is_at, try_lock

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
LOCK = ".dln.lock"  # in folders that one process at a time writes into
LEFT = r"\.dln-\w{8}-"  # how files begin that a kill may leave, as an expression
_WINDOWS = os.name == "nt"
_MOST_NAME = 240  # bytes of a name that leave room for a prefix
_PAUSE_S = 0.2  # between two looks at a lock that another process holds
_MISPLACED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """An OSError of the body becomes one sentence about `path`: DlnError where the disk is full,
    UsageError where the place cannot be written."""
    try:
        yield
    except OSError as error:
        raise _explain(error, path) from error


def _explain(error: OSError, path: Path) -> DlnError:
    if error.errno in _FULL:
        return DlnError(f"disk full while writing {path}", hint="free some space, then resume")
    if error.errno in _REFUSED:
        return UsageError(f"cannot write {path}: permission denied", hint="choose another --out")
    if error.errno in _MISPLACED:
        return UsageError(f"cannot write {path}: {os.strerror(error.errno).lower()}")
    return DlnError(f"cannot write {path}: {error.strerror or error}")


def refuse_device(path: Path) -> None:
    """UsageError for a device, a pipe or a socket, which a file would take the place of: /dev/null
    would be gone for all that runs on this machine."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UsageError(f"{path} is a device or a pipe, not a file.", "another --out")


def make_folder(path: Path) -> Path:
    """The folder, made with its parents where it is missing."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def remove(path: Path) -> None:
    """A file, a folder, or a link without what it points to; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fsync_path(path: Path) -> None:
    """Flush a file or a folder's list of names to the disk. Windows opens no folder, and flushes
    only what is open for writing."""
    if _WINDOWS and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_write(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write beside `path`, then rename over it: temp file, fsync, rename, fsync of the folder.

    A full disk is a DlnError, a place that cannot be written and a device UsageErrors; all name
    the path.
    """
    with beside(Path(path)) as (handle, _):
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(os.dup(handle), mode, encoding=encoding) as file:
            yield file


@contextmanager
def beside(path: Path, overwrite: bool = True) -> Iterator[tuple[int, Path]]:
    """A new file next to `path` and with its suffix, open: it becomes `path` when the body
    succeeds, and is gone when it fails. What killed writers of `path` left goes too. Errors as of
    `atomic_write`, and UsageError where another program has made `path` meanwhile, unless it may
    be overwritten."""
    refuse_device(path)
    with disk_errors(path):
        sweep(path)
        handle, name = _made_beside(path)
        try:
            yield handle, Path(name)
            os.fsync(handle)
            os.chmod(name, 0o666 & ~_umask())
            if _WINDOWS:  # which renames no open file
                os.close(handle)
                handle = -1
            (os.replace if overwrite else _rename_new)(name, path)
        except BaseException:
            if _WINDOWS and handle >= 0:  # which removes none either
                os.close(handle)
                handle = -1
            with suppress(OSError):
                os.unlink(name)
            raise
        finally:
            if handle >= 0:
                os.close(handle)
        fsync_path(path.parent)


def _rename_new(name: str, path: Path) -> None:
    """Rename a file to one that is not there. UsageError where it is."""
    try:
        os.link(name, path)
    except FileExistsError:
        raise UsageError(f"{path} is there by now: another program made it meanwhile",
                         hint="--force to overwrite it, or another --out") from None  # fmt: skip
    except OSError:  # a disk without links
        os.replace(name, path)
    else:
        os.unlink(name)


def _made_beside(path: Path) -> tuple[int, str]:
    """A file that is locked as long as its writer lives, so that nobody takes it for left over."""
    while True:
        handle, name = tempfile.mkstemp(prefix=".dln-", suffix=f"-{_ending(path)}", dir=path.parent)
        if _WINDOWS or (try_lock(handle) is not False and is_at(handle, name)):
            return handle, name
        os.close(handle)  # swept between being made and locked


def _ending(path: Path) -> str:
    """Of the name of a file beside `path`, in which another name may not fit as a whole."""
    return path.name if len(os.fsencode(path.name)) <= _MOST_NAME else path.suffix


def sweep(path: Path) -> None:
    """Remove files beside `path` that writers of it left when they were killed, where the disk has
    locks: only they tell that nobody is at it."""
    if _WINDOWS:
        return
    left = re.compile(LEFT + re.escape(_ending(path)))
    for name in os.listdir(path.parent):
        if left.fullmatch(name):
            with suppress(OSError):
                _remove_unlocked(os.path.join(path.parent, name))


def _remove_unlocked(name: str) -> None:
    handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode) and try_lock(handle):
            os.unlink(name)
    finally:
        os.close(handle)


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Inside, `path` is this process's to write. UsageError where another one is at it, or where
    the place cannot be written. A folder that is made for it goes if nothing came of it."""

    def refuse() -> NoReturn:
        raise UsageError(f"another dln is writing {path} at this moment",
                         hint="another --out, or the same line once that one ends")  # fmt: skip

    new = not os.path.isdir(path.parent)
    short = len(os.fsencode(path.name)) <= _MOST_NAME
    name = path.name if short else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    try:
        with locked(path.parent / f".dln-claiming-{name}", refuse):
            yield
    finally:
        if new:
            with suppress(OSError):  # what came of it is in there
                path.parent.rmdir()


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock in this file, which is gone afterwards; a killed holder's may stay, unlocked.

    waiting: called once where another process holds it, which is then waited for, unless this
    raises. UsageError for a place that cannot be written.
    """
    handle = _acquire(path, waiting)
    try:
        yield
    finally:
        if _WINDOWS:  # which removes no open file: where the next holder has it, it stays
            os.close(handle)
        with suppress(OSError):
            # else the folder has been moved, and the lock is another's
            if _WINDOWS or is_at(handle, path):
                os.unlink(path)
        if not _WINDOWS:
            os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether another holder has the lock in this file at the moment."""
    try:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return try_lock(handle) is False
    finally:
        os.close(handle)


def _acquire(path: Path, waiting: Callable[[], None]) -> int:
    told = False
    while True:
        make_folder(path.parent)  # again where its holder has removed it
        with disk_errors(path):
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(path, flags, 0o666)
        if try_lock(handle) is not False:  # a disk without locks lets everyone in
            if is_at(handle, path):
                return handle
            os.close(handle)  # its holder removed it while we were getting hold of it
            continue
        os.close(handle)
        if not told:
            waiting()
            told = True
        time.sleep(_PAUSE_S)


def _umask() -> int:
    """The process's permission mask, which temporary files ignore (they are born private)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_json(path: Path | str, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    with atomic_write(path, "w") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def append_line(path: Path | str, line: str) -> None:
    """Append one line in a single write; what a kill can lose is the last line only."""
    path = Path(path)
    with disk_errors(path), open(path, "ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def sha256_file(path: Path | str) -> str:
    """The SHA-256 of the file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(status: os.stat_result) -> list[int]:
    """What changes when a file's content does, or another takes its place with the same size and
    time of modification."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def known_sha256(path: Path) -> str:
    """As sha256_file, remembered in the user's cache as long as size and times stay."""
    stamp = stamp_of(path.stat())
    named = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    note = cache_folder() / "hashes" / f"{named}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json_value(note.read_bytes())
        if told["stamp"] == stamp and len(told["sha256"]) == 64:
            return told["sha256"]
    digest = sha256_file(path)
    with suppress(OSError, DlnError):
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {"stamp": stamp, "sha256": digest})
    return digest
