"""A lock that is a file: one process at a time, freed by the system however the holder ends."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UsageError
from .files import disk_errors, make_folder

PAUSE_S = 0.2  # between two looks at a lock that another process holds


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock in this file, which is gone afterwards; a killed holder's may stay, unlocked.

    waiting: called once where another process holds it, which is then waited for; without it that
    is a UsageError at once. A place that cannot be written is one too.
    """
    handle = _acquire(path, waiting)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file: the next holder takes it over
            os.unlink(path)
        os.close(handle)


def _acquire(path: Path, waiting: Callable[[], None] | None) -> int:
    told = False
    while True:
        make_folder(path.parent)  # again where its holder has removed it
        with disk_errors(path):
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(path, flags, 0o666)
        if _try(handle):
            if _is_at(handle, path):
                return handle
            os.close(handle)  # its holder removed it while we were getting hold of it
            continue
        os.close(handle)
        if waiting is None:
            raise UsageError(f"another process is at work in {path.parent}", hint="wait for it")
        if not told:
            waiting()
            told = True
        time.sleep(PAUSE_S)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(handle: int) -> bool:
        """Whether this process holds it now. Disks without locks let everyone in."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)
        return True
