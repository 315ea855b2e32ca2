"""A run is a folder: config.toml, stats.jsonl, samples/, state/, cache/, model.safetensors."""

import json
import math
import os
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import append_line, atomic_write, disk_errors, make_folder

if TYPE_CHECKING:
    from ..media.clip import Clip

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_CONTENTS = (
    "config.toml",
    "stats.jsonl",
    "samples",
    "state",
    "cache",
    "model.safetensors",
    "emissions.json",
)


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
        """A new run. UsageError where `path` holds something, unless `force` and it is a run."""
        path = Path(path)
        with disk_errors(path):
            if os.path.exists(path) and (not os.path.isdir(path) or any(path.iterdir())):
                _refuse(path, force)
                with cls(path, {}).locked():
                    _clear(path)
        run = cls(path, config)
        for folder in (path, run.samples, run.state, run.cache):
            make_folder(folder)
        run.write_config()
        return run

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """The run in `path`, to resume or read it."""
        path = Path(path)
        if not os.path.isfile(path / "config.toml"):
            raise UsageError(f"{path} is not a run", hint="start one without --resume")
        try:
            config = tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path / 'config.toml'} cannot be read: {error}") from error
        run = cls(path, config)
        for folder in (run.samples, run.state, run.cache):
            make_folder(folder)
        return run

    def write_config(self) -> None:
        with atomic_write(self.path / "config.toml", "w") as file:
            file.write(to_toml(self.config))

    @contextmanager
    def locked(self, main: bool = True) -> Iterator[None]:
        """No second training in the same folder: UsageError while another process holds it."""
        if not main or fcntl is None:
            yield
            return
        with disk_errors(self.path), open(self.path / ".lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"{self.path} is being trained by another process") from error
            yield

    @property
    def resume_command(self) -> str:
        """The line that goes on with this run."""
        model = self.config.get("model", "MODEL")
        return f"dln train {model} --resume --out {shlex.quote(str(self.path))}"

    def log(self, row: dict[str, Any]) -> None:
        """One JSON line in stats.jsonl; a number that is not finite becomes null."""
        append_line(self.stats, json.dumps(_finite(row), ensure_ascii=False, allow_nan=False))

    def rows(self) -> list[dict[str, Any]]:
        """stats.jsonl, without a last line that a kill has cut."""
        if not os.path.exists(self.stats):
            return []
        lines = self.stats.read_bytes().splitlines()
        return [row for row in map(_parse, lines) if row is not None]

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


def _refuse(path: Path, force: bool) -> None:
    """UsageError unless `path` is a run that may be written over."""
    if not force:
        hint = "--resume goes on with it, --force starts over, --out chooses another folder"
        raise UsageError(f"{path} exists", hint=hint)
    if not os.path.isfile(path / "config.toml"):
        raise UsageError(f"{path} exists and is not a run", hint="choose another --out")


def _clear(path: Path) -> None:
    for name in _CONTENTS:
        entry = path / name
        if os.path.isdir(entry) and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


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
