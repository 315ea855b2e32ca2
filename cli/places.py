"""Where a result goes: named after the prompt and the seed, never over what is there."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from dln.core.errors import UsageError
from dln.core.files import refuse_device
from dln.core.text.shown import visible

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
MAX_SLUG_BYTES = 160
RUNS = Path("runs")  # where runs lie unless --out says otherwise
SUFFIXES = (".mp4", ".webm", ".gif", ".png")


def clip_paths(
    stem: str, seeds: Sequence[int], out: str | None, suffix: str = ".mp4"
) -> list[Path]:
    """One path a seed. `out` is a file, or a folder: it ends with /, is one, or must hold several.

    UsageError where --out cannot hold them.
    """
    if out and not is_folder(out, len(seeds)):
        return [checked_suffix(Path(out))]
    folder = Path(out) if out else Path()
    return [checked_suffix(folder / f"{stem}-{seed}{suffix}") for seed in seeds]


def is_folder(out: str, count: int) -> bool:
    """Whether --out names a folder: it ends with /, is one, or has several clips to hold."""
    if out.endswith(("/", os.sep)) or os.path.isdir(out):
        return True
    if count > 1 and Path(out).suffix.lower() in SUFFIXES:
        raise UsageError(f"{out} is one file, but --count asks for {count} clips.",
                         f"--out {Path(out).with_suffix('')}/")  # fmt: skip
    return count > 1


def checked_suffix(path: Path) -> Path:
    check_name(path)
    check_named(path, SUFFIXES)
    if path.suffix.lower() not in SUFFIXES:
        endings = ", ".join(SUFFIXES)
        raise UsageError(f"{path} does not say what to write: it must end with {endings}, or "
                         "with / for a folder.", f"--out {path.with_suffix('.mp4')}")  # fmt: skip
    return path


def file_named(out: str, *suffixes: str) -> Path:
    """What --out FILE names. UsageError where that is a folder, an ending without a name, or a name
    with another ending than these (with any, where none are told)."""
    path = Path(out)
    if out.endswith(("/", os.sep)) or path.name in ("", "..") or os.path.isdir(path):
        name = f"name{suffixes[0] if suffixes else ''}"
        raise UsageError(f"{out or '.'} is a folder, and a file is to be written.",
                         f"--out {path / name}")  # fmt: skip
    check_name(path)
    check_named(path, suffixes)
    if suffixes and path.suffix.lower() not in suffixes:
        raise UsageError(f"{path} does not end with {' or '.join(suffixes)}.",
                         f"--out {path.with_suffix(suffixes[0])}")  # fmt: skip
    return path


def check_named(path: Path, suffixes: Sequence[str]) -> None:
    """UsageError for a hidden file that would have an ending and no name."""
    if path.name.lower() in suffixes:
        raise UsageError(f"{path} is an ending without a name.",
                         f"--out {path.with_name(f'name{path.name}')}")  # fmt: skip


def check_name(path: Path) -> None:
    """UsageError for a name that no file system or no encoder takes."""
    if visible(str(path)) != str(path) or "\n" in str(path):
        raise UsageError(f"{str(path)!r} is no name for a file: it has bytes that are no text.",
                         "another --out")  # fmt: skip
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in path.parts):
        raise UsageError("a file's name has at most 255 bytes.", "a shorter --out")
    if len(os.fsencode(path)) >= MAX_PATH_BYTES:
        raise UsageError(f"a path has fewer than {MAX_PATH_BYTES} bytes.", "a shorter --out")


def slug(text: str) -> str:
    """A file name's worth of a prompt: "Lion, drinking!" -> "lion-drinking"; any script stays."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    kept = "".join(letter if is_word(letter) else " " for letter in folded)
    return cut("-".join(kept.split()), MAX_SLUG_BYTES)


def is_word(letter: str) -> bool:
    """Letters, digits and the marks that belong to them (the vowels of Hindi, say)."""
    return unicodedata.category(letter)[0] in "LN" or unicodedata.category(letter) in ("Mn", "Mc")


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, never half a letter, no dash at the end."""
    return text.encode()[:size].decode(errors="ignore").strip("-")


def check_places(paths: Sequence[Path], force: bool) -> None:
    """Before anything is computed. UsageError: a file is there already, or none can be made."""
    taken = [path for path in paths if os.path.exists(path)]
    for path in taken:
        refuse_device(path)
        if os.path.isdir(path):
            raise UsageError(f"{path} is a folder.", "--out with a file's name")
    if taken and not force:
        raise UsageError(f"{taken[0]} is there already.", "--force to overwrite it, or --out")
    check_writable(paths[0].parent)


def check_writable(folder: Path) -> None:
    """UsageError where no file could be made in this folder, or in the one it would be made in."""
    import tempfile

    there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(f"cannot write into {there}: {error.strerror}.", "--out DIR/") from error
