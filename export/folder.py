"""The folder of an export as a place on the disk: its lock, its drafts, what of it is ours.

Nothing is removed but what an export has written: files of our names in a folder that bears our
mark, and drafts and half-written files that a killed run left, while the folder's lock is held.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dln.core.errors import UsageError
from dln.core.files import disk_errors, fsync_path, locked, make_folder

from .manifest import FILE, is_ours
from .report import REPORT

LOCK = ".lock"

# What only a run that was killed leaves; the last two are atomic_write's.
LEFT = re.compile(r"\.lock|\.draft-\w{8}|\.dln-\w{8}-(manifest\.json|report\.md)")
WRITTEN = {
    "onnx": re.compile(r"\w+\.onnx(\.data)?"),
    "engines": re.compile(
        r"\w+\.engine(\.log)?|timing\.cache|\.draft-\w{8}|\.dln-\w{8}-timing\.cache"
    ),
}


@contextmanager
def held(out: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """The folder, made where it is missing, for this process alone, and without leftovers.

    Another process at work in it is waited for. UsageError where it holds files of others or
    cannot be written. A folder that this made and that stayed empty is gone afterwards.
    """
    made = not out.is_dir()
    make_folder(out)
    refuse_strangers(out)
    try:
        with locked(out / LOCK, lambda: tell(f"waiting: another export is writing into {out}")):
            refuse_strangers(out)
            sweep(out)
            yield
    finally:
        if made:
            with suppress(OSError):  # not empty: what was made stays
                out.rmdir()


def refuse_strangers(out: Path) -> None:
    """UsageError for a folder that holds anything, unless an export has begun in it."""
    if (out / FILE).exists():
        return
    with disk_errors(out):
        if any(not LEFT.fullmatch(path.name) for path in out.iterdir()):
            raise UsageError(f"{out} holds other files", hint="choose another folder with --out")


def sweep(out: Path) -> None:
    """Remove what a killed run left half done. The lock is held: nobody is at work on it."""
    with disk_errors(out):
        for path in out.iterdir():
            if LEFT.fullmatch(path.name) and path.name != LOCK:
                remove(path)
        for path in written(out):
            if path.name.startswith("."):
                remove(path)


def written(out: Path) -> Iterator[Path]:
    """The files of our names in the folders of our names; none behind a link to elsewhere."""
    for name, pattern in WRITTEN.items():
        folder = out / name
        if folder.is_dir() and not folder.is_symlink():
            yield from (path for path in sorted(folder.iterdir()) if pattern.fullmatch(path.name))


def discard(out: Path) -> None:
    """Remove what exports have written into a folder of ours; its manifest, the mark, goes last."""
    if not is_ours(out):
        return
    with disk_errors(out):
        for path in list(written(out)):
            remove(path)
        for name in WRITTEN:
            with suppress(OSError):  # not empty: somebody's own file lies there; a link
                (out / name).rmdir()
        (out / REPORT).unlink(missing_ok=True)
        (out / FILE).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """A file, a link, or a folder of ours with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """A folder beside the results that is gone afterwards, whatever happens."""
    with disk_errors(out):
        folder = tempfile.mkdtemp(prefix=".draft-", dir=out)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, target: Path) -> None:
    """Move all files of a draft, once they are on the disk, to where they belong."""
    make_folder(target)
    for path in sorted(folder.iterdir()):
        with disk_errors(target / path.name):
            fsync_path(path)
            path.replace(target / path.name)
    with disk_errors(target):
        fsync_path(target)
