"""What lies in a run's folder: its mark, and what a run writes there, which alone is removed."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..door import fits, read_bytes, toml_value
from ..errors import UsageError
from ..files import LEFT, LOCK, disk_errors, remove

SCHEMA = "dln-run-1"
CONFIG = "config.toml"
TRACKED = "tracking"  # what trackers have been told

# Runs without the mark are known by all tables that ours have.
_UNMARKED = {"model", "options", "overrides", "config", "data", "start"}
_MOST_BYTES = 1 << 20  # of config.toml
_FILES = (
    "model.safetensors",
    "best.safetensors",
    "stats.jsonl",
    "emissions.json",
    "damaged-emissions.json",
)
_SHEET = re.compile(r"\.?.+-\d{6,}.*\.png")
_STAGE = re.compile(
    r"(step|broken)-\d{6,}|\.(draft|old|final)-.+|final\.(safetensors|json)|best\.safetensors"
)
# What a kill leaves of an atomic write, and the file that is locked.
_LEFT = re.compile(
    LEFT + r"((config|model|best|stats|emissions)\.(toml|safetensors|jsonl|json)"
    r"|.+-\d{6,}\.png)|" + re.escape(LOCK)
)


@dataclass
class Record:
    """The tables of config.toml."""

    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    start: dict[str, str] = field(default_factory=dict)


def read_record(folder: Path, hint: str = "start one without --resume") -> dict[str, Any]:
    """What config.toml says in the run in `folder`. UsageError where that is no run or what it
    says is damaged."""
    path = folder / CONFIG
    if not os.path.isfile(path):
        raise UsageError(f"{folder} is not a run", hint=hint)
    try:
        table = toml_value(read_bytes(path, _MOST_BYTES).decode())
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=hint) from error
    if table.pop("schema", None) != SCHEMA and set(table) != _UNMARKED:
        raise UsageError(f"{folder} is not a run: its {CONFIG} is not one of dln's", hint=hint)
    fits(Record, table, str(path))
    return table


def check_free(folder: Path, force: bool) -> None:
    """UsageError unless there is nothing in `folder`, or, with `force`, a run that goes."""
    if not os.path.lexists(folder):
        return
    if os.path.isdir(folder) and all(_LEFT.fullmatch(name) for name in os.listdir(folder)):
        return
    if not force:
        hint = "--resume goes on with it, --force starts over, --out chooses another folder"
        raise UsageError(f"{folder} exists", hint=hint)
    read_record(folder, hint="choose another --out")


def clear(folder: Path) -> None:
    """Remove what a run has written, but its config.toml, which says until the end whose folder
    this is. What is not known stays, and so does what a link points to."""
    with disk_errors(folder):
        for name in _FILES:
            remove(folder / name)
        sweep(folder)
        _clear(folder / "samples", _SHEET)
        for stage in _inside(folder / "state"):
            _clear(stage, _STAGE)
        _clear(folder / "state", None)
        remove(folder / "cache")
        remove(folder / TRACKED)


def refuse_links(folder: Path) -> None:
    """UsageError where what a run writes would lie elsewhere."""
    for place in (*(folder / name for name in ("samples", "state", "cache", TRACKED)),
                  *_inside(folder / "state")):  # fmt: skip
        if place.is_symlink():
            raise UsageError(
                f"{place} is a link, and a run writes into its own folder alone",
                hint="put what it points to in its place",
            )


def sweep(folder: Path) -> None:
    """Remove what kills have left of atomic writes."""
    for entry in [*_inside(folder), *_inside(folder / "samples")]:
        if _LEFT.fullmatch(entry.name) and entry.name != LOCK:
            remove(entry)


def _clear(folder: Path, known: re.Pattern[str] | None) -> None:
    """Remove the known entries, and the folder where no other is left."""
    if folder.is_symlink():
        folder.unlink()
        return
    for entry in _inside(folder):
        if known and known.fullmatch(entry.name):
            remove(entry)
    with suppress(OSError):
        folder.rmdir()


def _inside(folder: Path) -> list[Path]:
    """The entries of a folder that is no link."""
    return [] if folder.is_symlink() or not folder.is_dir() else list(folder.iterdir())
