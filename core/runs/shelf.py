"""Runs and files of weights on this disk, told without PyTorch and removed when asked."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ..errors import DlnError, UsageError
from ..files import LOCK, claimed, disk_errors, is_locked, remove
from ..models.about import About
from ..models.locate import about_of, read_header
from ..models.registry import MODELS
from ..training.contents import CONFIG, clear, read_record
from ..training.run import Run

State = Literal["trained", "not finished", "training", "weights"]
# Which of a stage's metrics says best how good it is, where it has several.
FIRST = ("frechet_distance", "accuracy", "psnr", "loss")


@dataclass(frozen=True)
class Held:
    """A run's folder or a file of weights. name: as commands take it; size: bytes of all of it;
    written: when, in seconds since 1970; measure: how good it is by its own measure."""

    name: str
    about: About
    state: State
    size: int
    written: float
    measure: str | None = None


def runs_in(folder: Path) -> Iterator[Held]:
    """The runs in a folder, by name. What is none is left out."""
    for config in sorted(folder.glob(f"*/{CONFIG}")):
        with suppress(DlnError, OSError):
            yield held_run(config.parent)


def weights_in(folder: Path) -> Iterator[Held]:
    """The files of weights in a folder, by name. What is none of ours is left out."""
    for path in sorted(folder.glob("*.safetensors")):
        with suppress(DlnError, OSError):
            yield held_file(path)


def held_run(path: Path) -> Held:
    """What a run's folder holds. UsageError where it is none, or of no model that is known."""
    name = str(read_record(path).get("model"))
    if name not in MODELS:
        raise UsageError(f"{path} is a run of {name!r}, a model that is not known here")
    run = Run(path, {})
    done = os.path.isfile(run.weights)
    state: State = "trained" if done else "not finished"
    if is_locked(path / LOCK):
        state = "training"
    told = _card_metrics(run.weights) if done else None
    times = [os.stat(each).st_mtime for each in (path / CONFIG, run.stats) if os.path.isfile(each)]
    return Held(str(path), MODELS[name], state, _size(path), max(times),
                measure(told or _last_metrics(run)))  # fmt: skip


def held_file(path: Path, name: str | None = None) -> Held:
    """What a file of weights holds; name: where commands call it otherwise. Errors as of
    `read_header`."""
    header, status = read_header(path), path.stat()
    about = about_of(header, path)
    told = measure(_metrics(header.card))
    return Held(name or str(path), about, "weights", status.st_size, status.st_mtime, told)


def measure(metrics: Mapping[str, Any]) -> str | None:
    """Of {stage: {metric: value}}, the last stage's that says most: "base loss 0.0424"."""
    for stage, values in reversed(list(metrics.items())):
        found = {n: v for n, v in values.items() if isinstance(v, int | float)} if isinstance(
            values, Mapping) else {}  # fmt: skip
        name = next((name for name in (*FIRST, *found) if name in found), None)
        if name is not None:
            return f"{stage} {name.replace('_', ' ')} {found[name]:.4g}"
    return None


def _metrics(card: Mapping[str, Any]) -> dict[str, Any]:
    found = card.get("metrics")
    return found if isinstance(found, dict) else {}


def _card_metrics(path: Path) -> dict[str, Any]:
    """Those in a file of weights; none where it cannot be read."""
    try:
        return _metrics(read_header(path).card)
    except DlnError:
        return {}


def _last_metrics(run: Run) -> dict[str, Any]:
    """Those of the last evaluation, or the last loss of a run that had none yet."""
    found: dict[str, Any] = {}
    for row in run.rows():
        stage = str(row.get("stage"))
        told = row.get("metrics")
        told = told if isinstance(told, dict) else {"loss": row.get("loss")}
        found[stage] = found.pop(stage, {}) | told
    return found


def _size(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # a training removes its older checkpoints
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def remove_run(path: Path) -> list[str]:
    """Remove what a run has written, its record of energy among it, and return the names of what
    stays: files that no run writes. UsageError for what is no run, a link to one, and one that
    another process is training."""
    record = read_record(path, hint="dln models list")
    if path.is_symlink():
        raise UsageError(f"{path} is a link to a run elsewhere", f"dln models rm {path.resolve()}")
    with disk_errors(path):
        with Run(path, record).locked():
            clear(path)
            remove(path / CONFIG)
        left = sorted(os.listdir(path))
        if not left:
            path.rmdir()
    return left


def remove_file(path: Path) -> None:
    """Remove a file of weights. UsageError for what is none of ours, for those that came with dln
    or belong to a run, and where another process is writing it."""
    held_file(path)
    if path.resolve().parent == Path(str(files("dln.core") / "weights")).resolve():
        raise UsageError(f"{path} came with dln", "dln models list")
    if os.path.isfile(path.parent / CONFIG):
        raise UsageError(f"{path} belongs to a run", f"dln models rm {path.parent}")
    with claimed(path), disk_errors(path):
        path.unlink(missing_ok=True)
