"""A run is a folder: config.toml, stats.jsonl, samples/, state/, cache/, model.safetensors."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..door import finite, json_value
from ..errors import UsageError
from ..files import LOCK, append_line, atomic_write, disk_errors, locked, make_folder
from .contents import CONFIG, SCHEMA, check_free, clear, read_record, sweep

if TYPE_CHECKING:
    from ..media.clip import Clip


class Run:
    """The folder of one training. `config` is the resolved configuration in config.toml."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.stats = path / "stats.jsonl"
        self.samples = path / "samples"
        self.state = path / "state"
        self.cache = path / "cache"
        self.weights = path / "model.safetensors"

    @classmethod
    def create(cls, path: Path | str, config: dict[str, Any], force: bool = False) -> "Run":
        """A new run. UsageError where `path` holds something, unless `force` and it is a run: then
        what a run writes goes first."""
        run = cls(Path(path), config)
        with disk_errors(run.path):
            check_free(run.path, force)
            make_folder(run.path)
            with run.locked():
                check_free(run.path, force)  # another process may have been quicker
                clear(run.path)
                run.write_config()
        return run._with_folders()

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """The run in `path`, to resume or read it. UsageError where it is none."""
        return cls(Path(path), read_record(Path(path)))._with_folders()

    def _with_folders(self) -> "Run":
        for folder in (self.samples, self.state, self.cache):
            make_folder(folder)
        return self

    def write_config(self) -> None:
        with atomic_write(self.path / CONFIG, "w") as file:
            file.write(to_toml({"schema": SCHEMA} | self.config))

    @contextmanager
    def locked(self, main: bool = True) -> Iterator[None]:
        """No second training in the same folder: UsageError while another process holds it."""

        def refuse() -> None:
            raise UsageError(f"{self.path} is being trained by another process")

        if not main:
            yield
            return
        with locked(self.path / LOCK, refuse):
            sweep(self.path)
            yield

    @property
    def resume_command(self) -> str:
        """The line that goes on with this run."""
        model = self.config.get("model", "MODEL")
        return f"dln train {model} --resume --out {shlex.quote(str(self.path))}"

    def log(self, row: dict[str, Any]) -> None:
        """One JSON line in stats.jsonl; a number that is not finite becomes null."""
        append_line(self.stats, json.dumps(finite(row), ensure_ascii=False, allow_nan=False))

    def rows(self) -> list[dict[str, Any]]:
        """stats.jsonl, without a last line that a kill has cut."""
        if not os.path.isfile(self.stats):
            return []
        with open(self.stats, "rb") as file:
            return [row for row in map(_parse, file) if row is not None]

    def rewind(self, stage: str, step: int) -> None:
        """Drop the lines of `stage` after `step`: training writes them again."""
        kept = [r for r in self.rows() if r.get("stage") != stage or r.get("step", 0) <= step]
        with atomic_write(self.stats, "w") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)

    def save_sheet(self, name: str, clips: "list[Clip]") -> Path:
        """The contact sheet of `clips` as samples/`name`.png."""
        from PIL import Image

        from ..media.sheet import contact_sheet

        path = self.samples / f"{name}.png"
        with atomic_write(path) as file:
            Image.fromarray(contact_sheet(clips)).save(file, format="PNG")
        return path


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json_value(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step", 0), int) else None


def to_toml(table: dict[str, Any]) -> str:
    """Nested dicts of scalars, strings and lists as TOML; None is left out (TOML has no null)."""
    return "".join(f"{line}\n" for line in _lines(table, ())).lstrip("\n")


def _lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    scalars = {k: v for k, v in table.items() if not isinstance(v, dict) and v is not None}
    lines = ["", f"[{'.'.join(map(_key, path))}]"] if path else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in scalars.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _lines(value, (*path, str(key)))
    return lines


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _value(str(key))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value if item is not None)}]"
    if isinstance(value, dict):
        items = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{', '.join(items)}}}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
