"""The folder of an export as a place on the disk: its lock, its drafts, what of it is ours.

Nothing is removed but what an export has written: files of our names in a folder that bears our
mark, and drafts and half-written files that a killed run left, while the folder's lock is held.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dln.core.errors import UsageError
from dln.core.files import LEFT, LOCK, disk_errors, fsync_path, locked, make_folder, remove
from dln.core.text.shown import in_utf8

from .manifest import FILE, is_ours
from .report import REPORT

# What only a run that was killed leaves; the last two are atomic_write's.
OURS = re.compile(rf"{re.escape(LOCK)}|\.dln-draft-\w{{8}}|{LEFT}(manifest\.json|report\.md)")
WRITTEN = {
    "onnx": re.compile(r"[\w-]+\.onnx(\.data)?"),
    "engines": re.compile(
        rf"[\w-]+\.engine(\.log)?|timing\.cache|\.dln-draft-\w{{8}}|{LEFT}timing\.cache"
    ),
}


@contextmanager
def held(out: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """The folder, made where it is missing, for this process alone, and without leftovers.

    Another process at work in it is waited for. UsageError where it holds files of others or
    cannot be written. A folder that this made and that stayed empty is gone afterwards.
    """
    made = not os.path.isdir(out)
    if in_utf8(out) != str(out):
        raise UsageError(f"{out} is no name in UTF-8, as files of graphs need", hint="--out DIR")
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
    if is_ours(out):
        return
    if os.path.lexists(out / FILE):
        raise UsageError(f"{out / FILE} was not written by an export",
                         hint="choose another folder with --out")  # fmt: skip
    with disk_errors(out):
        if any(not OURS.fullmatch(path.name) for path in out.iterdir()):
            raise UsageError(f"{out} holds other files", hint="choose another folder with --out")


def sweep(out: Path) -> None:
    """Remove what a killed run left half done. The lock is held: nobody is at work on it."""
    with disk_errors(out):
        for path in out.iterdir():
            if OURS.fullmatch(path.name) and path.name != LOCK:
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


def refuse_link(folder: Path) -> None:
    """UsageError where what is written into `folder` would lie elsewhere."""
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link, and an export writes into its own folder alone",
                         hint="choose another folder with --out")  # fmt: skip


@contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """A folder beside the results that is gone afterwards, whatever happens."""
    with disk_errors(out):
        folder = tempfile.mkdtemp(prefix=".dln-draft-", dir=out)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, target: Path) -> None:
    """Move all files of a draft, once they are on the disk, to where they belong."""
    refuse_link(target)
    make_folder(target)
    for path in sorted(folder.iterdir()):
        with disk_errors(target / path.name):
            fsync_path(path)
            path.replace(target / path.name)
    with disk_errors(target):
        fsync_path(target)
